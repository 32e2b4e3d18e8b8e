"""Rows added to a table, positions in order or not, and the way back to scores of tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.fast import embedding as fast
from npgpt.layers import embedding
from npgpt.machine import threads


@given(
    lead=st.lists(st.integers(0, 6), max_size=3), vocab=st.integers(1, 7),
    channels=st.integers(1, 5), seed=st.integers(0, 99),
)
def test_rows_of_repeated_ids_are_all_added(lead, vocab, channels, seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, vocab, lead)
    rows, table = rng.standard_normal((*lead, channels)), rng.standard_normal((vocab, channels))
    ids, wanted, before = np.asarray(ids), table.copy(), rows.copy()
    np.add.at(wanted, ids, rows)
    fast.Rows(table.shape, ids, rows).add_to(table)
    np.testing.assert_allclose(table, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("ids", [[2] * 9, [5, 4, 3, 2, 1, 0], [0, 5], [3], [5, 0, 5, 0, 5]])
def test_one_id_only_all_ids_and_ids_at_the_ends_of_the_table(ids):
    ids = np.array(ids)
    rows = np.random.default_rng(0).standard_normal((len(ids), 3))
    table = np.ones((6, 3))
    fast.Rows(table.shape, ids, rows).add_to(table)
    for token in range(6):
        np.testing.assert_allclose(table[token], 1 + rows[ids == token].sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("positions", [
    [0, 1, 2, 3], [2, 3, 5, 6], [3, 2, 1, 0], [1, 1, 4, 4], [0, 2, 2, 5],
    [[0, 1, 2, 3], [0, 1, 2, 3], [3, 3, 0, 6]],
])
def test_positions_in_order_repeated_or_by_row_get_the_textbooks_gradient(positions):
    positions = np.array(positions)
    dout = np.random.default_rng(1).standard_normal((3, 4, 5))
    dx, dweight, none = fast.position_embedding_backward(dout, (positions, (7, 5)))
    _, wanted, _ = embedding.position_embedding_backward(dout, (positions, (7, 5)))
    assert dx is dout and none is None
    np.testing.assert_allclose(dweight, wanted, rtol=1e-12, atol=1e-12)


def test_positions_without_a_batch_and_with_two_leading_axes_are_right_too():
    for lead in ((), (2, 3)):
        dout = np.random.default_rng(2).standard_normal((*lead, 4, 5))
        cache = np.array([0, 2, 3, 6]), (7, 5)
        _, dweight, _ = fast.position_embedding_backward(dout, cache)
        _, wanted, _ = embedding.position_embedding_backward(dout, cache)
        np.testing.assert_allclose(dweight, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0, 3)])
def test_unembedding_of_any_leading_axes_is_the_textbook_when_cut(every_size_on_threads, n, lead):
    rng = np.random.default_rng(0)
    x, weight, dout = (rng.standard_normal(s) for s in ((*lead, 70), (65, 70), (*lead, 65)))
    with threads.using(n):
        out, cache = fast.unembedding_forward(x, weight)
        grads = fast.unembedding_backward(dout, cache)
    wanted, wanted_cache = embedding.unembedding_forward(x, weight)
    for a, b in zip((out, *grads), (wanted, *embedding.unembedding_backward(dout, wanted_cache))):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
