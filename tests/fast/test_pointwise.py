"""Sums, softmax, dropout by bits, and rows added to a table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.fast import pointwise
from npgpt.fast.blocks import BLOCK
from npgpt.layers import dropout, embedding, softmax
from npgpt.machine import threads


@pytest.mark.parametrize("shape", [(), (1,), (0, 4), (7, 3), (2, 3, 5), (1, 40), (41, 2, 3)])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_sums_of_any_shape_are_numpys_wherever_they_go(monkeypatch, shape, n):
    monkeypatch.setattr(pointwise, "ELEMENTS", 8)
    rng = np.random.default_rng(0)
    a, b = (np.asarray(rng.standard_normal(shape)) for _ in range(2))
    wanted = np.asarray(a + b)
    with threads.using(n):
        np.testing.assert_array_equal(pointwise.add(a, b), wanted)
        out = np.empty(shape)
        assert pointwise.add(a, b, out) is out
        np.testing.assert_array_equal(out, wanted)
        # over either of the two; play writes over the second
        for place in (0, 1):
            pair = [a.copy(), b.copy()]
            pointwise.add(*pair, pair[place])
            np.testing.assert_array_equal(pair[place], wanted)
            np.testing.assert_array_equal(pair[1 - place], (b, a)[place])


def test_a_sum_has_the_wider_of_two_dtypes_and_writes_nowhere_else():
    a, b = np.ones((3, 2), np.float32), np.full((3, 2), 2.0)
    out = pointwise.add(a, b)
    assert out.dtype == np.float64 and (out == 3).all()
    assert (a == 1).all() and (b == 2).all()


@pytest.mark.parametrize("shape", [(3, 4), (4,), ()])
def test_a_branch_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"got x \(2, 3, 4\) and branch"):
        pointwise.residual_forward(np.zeros((2, 3, 4)), np.zeros(shape))


@given(
    lead=st.lists(st.integers(0, 6), max_size=3), vocab=st.integers(1, 7),
    channels=st.integers(1, 5), seed=st.integers(0, 99),
)
def test_rows_of_repeated_ids_are_all_added(lead, vocab, channels, seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, vocab, lead)
    rows, table = rng.standard_normal((*lead, channels)), rng.standard_normal((vocab, channels))
    ids, wanted, kept = np.asarray(ids), table.copy(), rows.copy()
    np.add.at(wanted, ids, rows)
    pointwise.add_rows(table, ids, rows)
    np.testing.assert_allclose(table, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(rows, kept)


@pytest.mark.parametrize("ids", [[2] * 9, [5, 4, 3, 2, 1, 0], [0, 5], [3], [5, 0, 5, 0, 5]])
def test_one_id_only_all_ids_and_ids_at_the_ends_of_the_table(ids):
    ids = np.array(ids)
    rows = np.random.default_rng(0).standard_normal((len(ids), 3))
    table = np.ones((6, 3))
    pointwise.add_rows(table, ids, rows)
    for token in range(6):
        np.testing.assert_allclose(table[token], 1 + rows[ids == token].sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("positions", [
    [0, 1, 2, 3], [2, 3, 5, 6], [3, 2, 1, 0], [1, 1, 4, 4], [0, 2, 2, 5],
    [[0, 1, 2, 3], [0, 1, 2, 3], [3, 3, 0, 6]],
])
def test_positions_in_order_repeated_or_by_row_get_the_textbooks_gradient(positions):
    positions = np.array(positions)
    dout = np.random.default_rng(1).standard_normal((3, 4, 5))
    dx, dweight, none = pointwise.position_embedding_backward(dout, (positions, (7, 5)))
    _, wanted, _ = embedding.position_embedding_backward(dout, (positions, (7, 5)))
    assert dx is dout and none is None
    np.testing.assert_allclose(dweight, wanted, rtol=1e-12, atol=1e-12)


def test_positions_without_a_batch_and_with_two_leading_axes_are_right_too():
    for lead in ((), (2, 3)):
        dout = np.random.default_rng(2).standard_normal((*lead, 4, 5))
        cache = np.array([0, 2, 3, 6]), (7, 5)
        _, dweight, _ = pointwise.position_embedding_backward(dout, cache)
        _, wanted, _ = embedding.position_embedding_backward(dout, cache)
        np.testing.assert_allclose(dweight, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, BLOCK - 1, BLOCK + 1, 3 * BLOCK + 13])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_dropout_by_bits_is_the_textbooks_mask_at_every_border(monkeypatch, size, n):
    monkeypatch.setattr(pointwise, "ELEMENTS", 1)
    x, dout = np.random.default_rng(3).standard_normal((2, size))
    wanted, mask = dropout.dropout_forward(x, rate=0.3, rng=np.random.default_rng(4))
    with threads.using(n):
        out, cache = pointwise.dropout_forward(x, rate=0.3, rng=np.random.default_rng(4))
        (dx,) = pointwise.dropout_backward(dout, cache)
    np.testing.assert_allclose(out, wanted, rtol=1e-12)
    np.testing.assert_allclose(dx, dropout.dropout_backward(dout, mask)[0], rtol=1e-12)
    # eight numbers to a byte
    assert cache[0].nbytes == -(-size // 8)


def test_dropout_keeps_the_dtype_and_the_mean():
    x = np.ones((100, 300), np.float32)
    out, _ = pointwise.dropout_forward(x, rate=0.25, rng=np.random.default_rng(5))
    assert out.dtype == np.float32
    assert set(np.unique(out).tolist()) == {0.0, float(np.float32(4 / 3))}
    assert abs(out.mean() - 1) < 0.02
    same, cache = pointwise.dropout_forward(x, rate=0.0)
    assert same is x and pointwise.dropout_backward(x, cache)[0] is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_an_impossible_rate_is_refused_with_what_would_fit(rate):
    with pytest.raises(ValueError, match=rf"{rate} is outside \[0, 1\)"):
        pointwise.keep_bits((3,), rate, np.random.default_rng(0))
    with pytest.raises(ValueError, match="pass rng="):
        pointwise.keep_bits((3,), 0.5, None)


@pytest.mark.parametrize("rows", [1, 4, 5, 6, 11])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_softmax_around_the_borders_of_runs_is_the_textbook(monkeypatch, rows, n):
    monkeypatch.setattr(pointwise, "ELEMENTS", 1)
    width = BLOCK // 5
    x, dout = np.random.default_rng(rows).standard_normal((2, rows, width))
    x[0, 3], x[-1, 7] = 1e4, -np.inf
    wanted, wanted_cache = softmax.softmax_forward(x)
    with threads.using(n):
        out, cache = pointwise.softmax_forward(x)
        (dx,) = pointwise.softmax_backward(dout, cache)
    np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-300)
    (wanted_dx,) = softmax.softmax_backward(dout, wanted_cache)
    assert np.linalg.norm(dx - wanted_dx) <= 1e-12 * np.linalg.norm(wanted_dx)
    np.testing.assert_allclose(out.sum(axis=1), 1, rtol=1e-12)
