"""Attention and the block of the doctor: without a mistake they give what the package gives."""

import numpy as np
import pytest

from npgpt import GPT2Config, model
from npgpt.doctor.values import attention
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.layers.attention import merge_heads, split_heads, split_qkv
from npgpt.ops import TEXTBOOK

rng = np.random.default_rng(0)


@pytest.mark.parametrize("n", range(4))
@pytest.mark.parametrize("name", ["causal_attention", "multi_head_attention"])
def test_the_right_value_is_the_packages(name, n):
    inputs, settings = PROGRAMS[name].draw(np.random.default_rng(n), {}, n)
    expected = TEXTBOOK.named()[name].forward(*inputs, **settings)[0]
    np.testing.assert_allclose(PROGRAMS[name].value(inputs, settings), expected, rtol=1e-10)


def test_the_block_is_the_models():
    (x, p), settings = PROGRAMS["block"].draw(rng, {}, 0)
    config = GPT2Config(vocab_size=5, n_positions=9, n_embd=x.shape[-1], n_layer=1, **settings)
    params = {f"h.0.{name}": array for name, array in p.items()}
    expected = model.block(params, 0, x, config, attend=model.full_attention(config))
    np.testing.assert_allclose(attention.block(x, p, **settings), expected, rtol=1e-10)


def test_splitting_merging_and_mixing_are_the_packages():
    qkv = rng.standard_normal((2, 5, 18))
    for which, part in zip("qkv", split_qkv(qkv), strict=True):
        assert np.array_equal(attention.split_heads(qkv, which, n_head=3), split_heads(part, 3))
    heads = rng.standard_normal((2, 3, 5, 4))
    weights = attention.attention_weights(heads, heads)
    assert np.array_equal(attention.merge_heads(heads), merge_heads(heads))
    np.testing.assert_allclose(attention.mixed_heads(weights, heads), merge_heads(weights @ heads))
    np.testing.assert_allclose(weights.sum(-1), 1)
