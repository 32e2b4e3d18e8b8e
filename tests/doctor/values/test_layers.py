"""Layers of the doctor: without a mistake they give what the package's layers give."""

import numpy as np
import pytest

from npgpt.doctor.values import layers
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.layers.feed_forward import ACTIVATIONS
from npgpt.ops import TEXTBOOK

rng = np.random.default_rng(0)
SAME = ["layernorm", "softmax", "gelu", "gelu_exact", "linear", "cross_entropy", "feed_forward"]


@pytest.mark.parametrize("n", range(4))
@pytest.mark.parametrize("name", SAME)
def test_the_right_value_is_the_packages(name, n):
    program = PROGRAMS[name]
    inputs, settings = program.draw(np.random.default_rng(n), {}, n)
    expected = TEXTBOOK.named()[name].forward(*inputs, **settings)[0]
    np.testing.assert_allclose(program.value(inputs, settings), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("form", ["gelu_new", "gelu", "relu", "silu", "identity"])
def test_activations_by_hugging_faces_names(form):
    x = rng.standard_normal((3, 5))
    np.testing.assert_allclose(layers.gelu(x, form=form), ACTIVATIONS[form][0](x)[0], rtol=1e-12)


def test_embeddings_and_logits_are_the_packages():
    ids, wte, wpe = np.array([[3, 1, 3], [0, 2, 4]]), *rng.standard_normal((2, 7, 5))
    token, _ = TEXTBOOK.token_embedding.forward(ids, wte)
    both, _ = TEXTBOOK.position_embedding.forward(token, wpe, np.arange(3))
    assert np.array_equal(layers.token_embedding(ids, wte), token)
    assert np.array_equal(layers.embedding(ids, wte, wpe), both)
    weight, bias = rng.standard_normal((2, 5))
    normed, _ = TEXTBOOK.layernorm.forward(both, weight, bias)
    np.testing.assert_allclose(layers.unembedding(both, wte, weight, bias), normed @ wte.T)


def test_gradients_of_a_tied_table_and_a_bias_are_the_packages():
    ids, d = np.array([[3, 1, 3]]), rng.standard_normal((1, 3, 4))
    head = rng.standard_normal((7, 4))
    lookup = TEXTBOOK.token_embedding.backward(d, (ids, (7, 4)))[1]
    np.testing.assert_allclose(layers.tied_table_gradient(ids, d, head), lookup + head)
    np.testing.assert_allclose(layers.bias_gradient(d), d.sum((0, 1)))
    assert layers.weight_gradient(head) is head


def test_what_dropout_kept_is_seen_in_its_result():
    x = rng.standard_normal((40, 50)) + 5
    out, _ = TEXTBOOK.dropout.forward(x, rate=0.25, rng=np.random.default_rng(1))
    (_, kept), seen = layers.kept_by_dropout((x,), {"rate": 0.25}, out)
    assert seen["the fraction kept"] == 0.75 and np.array_equal(kept, out != 0)
    assert seen["each drawn by itself"] == 1.0
    np.testing.assert_allclose(layers.dropout(x, kept, rate=0.25)["out"], out)
    (_, kept), seen = layers.kept_by_dropout((x,), {"rate": 0.25}, x)
    assert seen["the fraction kept"] == 1.0


@pytest.mark.parametrize("shape, alike", [((1, 50), 0.0), ((40, 1), 0.0), ((40, 50), 1.0)])
def test_one_mask_for_all_rows_or_columns_is_seen(shape, alike):
    x = np.ones((40, 50))
    mask = rng.random(shape) >= 0.3
    _, seen = layers.kept_by_dropout((x,), {"rate": 0.3}, x * mask / 0.7)
    assert seen["each drawn by itself"] == alike and seen["the fraction kept"] == 0.7
    few = np.ones((2, 2))   # here all alike may be chance
    assert layers.kept_by_dropout((few,), {"rate": 0.5}, few * [1, 0])[1][
        "each drawn by itself"] == 1.0
