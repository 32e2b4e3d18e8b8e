from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from hypothesis.strategies import integers

from npgpt import Tape
from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.embedding import (
    position_embedding_backward,
    position_embedding_forward,
    token_embedding_backward,
    token_embedding_forward,
    unembedding_backward,
    unembedding_forward,
)
from npgpt.ops import TEXTBOOK as ops

pytestmark = pytest.mark.smoke

TABLE = np.arange(12.0).reshape(4, 3)


def test_every_token_gets_its_row():
    out, _ = token_embedding_forward(np.array([[2, 0], [2, 3]]), TABLE)
    np.testing.assert_array_equal(out, [[[6, 7, 8], [0, 1, 2]], [[6, 7, 8], [9, 10, 11]]])


def test_a_token_that_comes_twice_gets_both_gradients_and_an_unseen_one_none():
    _, cache = token_embedding_forward(np.array([2, 0, 2]), TABLE)
    none, dweight = token_embedding_backward(
        np.array([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0], [10.0, 20.0, 30.0]]), cache
    )
    assert none is None
    np.testing.assert_array_equal(dweight, [[5, 5, 5], [0, 0, 0], [11, 22, 33], [0, 0, 0]])


@given(arrays(np.int64, array_shapes(max_dims=3, max_side=4), elements=integers(0, 3)))
def test_a_gradient_of_ones_counts_how_often_each_token_came(ids):
    out, cache = token_embedding_forward(ids, TABLE)
    assert out.shape == (*ids.shape, 3)
    _, dweight = token_embedding_backward(np.ones_like(out), cache)
    np.testing.assert_array_equal(dweight[:, 1], np.bincount(ids.ravel(), minlength=4))


def test_ids_of_any_integer_type_are_read_alike():
    for dtype in (np.uint8, np.uint16, np.int32, np.int64):
        out, _ = token_embedding_forward(np.array([3, 1], dtype), TABLE)
        np.testing.assert_array_equal(out, TABLE[[3, 1]])


def test_positions_are_added_to_every_sequence_of_the_batch_and_their_gradients_summed():
    x = np.full((2, 2, 3), 100.0)
    out, cache = position_embedding_forward(x, TABLE, np.array([1, 2]))
    np.testing.assert_array_equal(out[0], [[103, 104, 105], [106, 107, 108]])
    np.testing.assert_array_equal(out[1], out[0])
    dout = np.arange(12.0).reshape(2, 2, 3)
    dx, dweight, none = position_embedding_backward(dout, cache)
    np.testing.assert_array_equal(dx, dout)
    np.testing.assert_array_equal(dweight, [[0, 0, 0], [6, 8, 10], [12, 14, 16], [0, 0, 0]])
    assert none is None


def test_each_sequence_may_have_positions_of_its_own():
    out, _ = position_embedding_forward(np.zeros((2, 1, 3)), TABLE, np.array([[3], [1]]))
    np.testing.assert_array_equal(out[:, 0], TABLE[[3, 1]])


def test_a_score_is_the_dot_product_with_the_tokens_row(rng):
    x, weight = rng.standard_normal((2, 3, 8)), rng.standard_normal((5, 8))
    out, _ = unembedding_forward(x, weight)
    np.testing.assert_allclose(out, np.einsum("btc,vc->btv", x, weight), rtol=1e-12)


def test_a_table_used_at_both_ends_gets_the_sum_of_both_gradients(rng):
    ids = np.array([[1, 1]])
    table, dout = rng.standard_normal((4, 3)), rng.standard_normal((1, 2, 4))
    _, embedding_cache = token_embedding_forward(ids, table)
    _, scores_cache = unembedding_forward(table[ids], table)
    dx, from_scores = unembedding_backward(dout, scores_cache)
    _, from_embedding = token_embedding_backward(dx, embedding_cache)

    tape = Tape()
    weight = tape.watch(table)
    grads = tape.backward(ops.unembedding(ops.token_embedding(ids, weight), weight), dout)
    np.testing.assert_allclose(grads[weight], from_scores + from_embedding, rtol=1e-14)


def test_gradients_agree_with_the_numbers(rng):
    ids, weight = np.array([[1, 0, 1], [3, 1, 0]]), rng.standard_normal((4, 8))
    x = rng.standard_normal((2, 3, 8))
    prove_gradients(token_embedding_forward, token_embedding_backward, ids, weight)
    for positions in (np.arange(3), ids):
        prove_gradients(
            position_embedding_forward, position_embedding_backward, x, weight, positions
        )
    prove_gradients(unembedding_forward, unembedding_backward, x, weight)


@pytest.mark.parametrize("wrong, says", [
    ([0, -1], "-1 is outside"), ([0, 3], "3 is outside"), ([0.0], "float64"), ([True], "bool")])
def test_rows_that_numpy_would_read_without_a_word_are_rejected(wrong, says):
    from npgpt.fast.ops import FAST as fast

    with pytest.raises(ValueError, match=says):
        token_embedding_forward(np.array(wrong), np.eye(3))
    with pytest.raises(ValueError, match=says):
        position_embedding_forward(np.zeros((len(wrong), 3)), np.eye(3), np.array(wrong))
    with pytest.raises(ValueError, match=says):
        fast.token_embedding(np.array(wrong), np.eye(3))
