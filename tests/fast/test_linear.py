"""Matmuls cut over threads are NumPy's, whatever the sizes and the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.fast import linear as fast
from npgpt.fast.linear import column_sums, matmul, matmuls
from npgpt.layers import linear
from npgpt.machine import threads


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def assert_close(got, wanted):
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    assert np.linalg.norm(got - wanted) <= 1e-12 * max(np.linalg.norm(wanted), 1e-3)


@pytest.fixture
def dispatches(monkeypatch):
    """Every matmul pays, and each dispatch to the threads is noted with its pieces."""
    noted = []

    def each(work, count, pays=True):
        noted.append(count)
        threads.each(work, count, pays)

    monkeypatch.setattr(threads.THRESHOLDS, "matmul", 0)
    monkeypatch.setattr(fast, "each", each)
    return noted


@given(length=st.integers(0, 5000), n=st.integers(1, 9))
def test_pieces_cover_a_side_once_with_borders_at_full_vectors(length, n):
    pieces = [fast._run(length, i, n) for i in range(n)]
    assert [p.start for p in pieces] == [0] + [p.stop for p in pieces[:-1]]
    assert pieces[-1].stop == length
    assert all(p.start % 16 == 0 for p in pieces)
    sizes = [p.stop - p.start for p in pieces]
    # no thread has more than a vector, and the rest of one, above another
    assert max(sizes) - min(sizes) < 32


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(("m", "k", "columns"), [
    (63, 5, 61), (64, 5, 3), (3, 5, 64), (65, 7, 63), (97, 1, 101), (131, 17, 131), (1, 9, 129),
    (129, 9, 1), (211, 3, 0),
])
def test_cut_matmuls_of_odd_sizes_are_numpys(dispatches, n, m, k, columns):
    a, b = normal(m, k), normal(k, columns)
    with threads.using(n):
        assert_close(matmul(a, b), a @ b)
    cut = n > 1 and max(m, columns) >= 64
    assert dispatches == ([n] if cut else [])


@pytest.mark.parametrize(("m", "k", "columns", "cut"), [
    (257, 128, 255, False), (256, 128, 256, True), (64, 2**11, 64, True),
    (64, 2**11 - 1, 64, False), (63, 2**12, 63, False),
])
def test_a_matmul_is_cut_from_its_threshold_on(monkeypatch, m, k, columns, cut):
    seen = []
    monkeypatch.setattr(fast, "each", lambda work, n: [seen.append(n), threads.each(work, n)])
    a, b = normal(m, k), normal(k, columns)
    with threads.using(3):
        assert_close(matmul(a, b), a @ b)
    assert seen == ([3] if cut else [])


@pytest.mark.parametrize(("m", "columns"), [(130, 70), (70, 130), (90, 90)])
def test_the_longer_side_of_the_result_is_cut(monkeypatch, dispatches, m, columns):
    cut = []
    run = fast._run
    monkeypatch.setattr(fast, "_run",
                        lambda length, i, n: [cut.append(length), run(length, i, n)][1])
    with threads.using(2):
        matmul(normal(m, 3), normal(3, columns))
    assert cut == [max(m, columns)] * 2


@given(
    m=st.integers(0, 150), k=st.integers(0, 9), columns=st.integers(0, 150), n=st.integers(1, 5),
    strides=st.booleans(),
)
@settings(max_examples=80)
def test_any_matmul_into_any_place_is_numpys(m, k, columns, n, strides):
    a, b = normal(m, k), normal(k, columns)
    out = np.full((m, columns), np.nan)
    if strides:
        a, b = normal(k, m).T, normal(columns, k).T
        out = np.full((columns, 2 * m), np.nan)[:, ::2].T
    with pytest.MonkeyPatch.context() as patch, threads.using(n):
        patch.setattr(threads.THRESHOLDS, "matmul", 0)
        matmuls([(a, b, out)])
    assert_close(np.ascontiguousarray(out), np.ascontiguousarray(a @ b))


def test_several_matmuls_take_one_dispatch(dispatches):
    jobs = [
        (normal(m, k), normal(k, c), np.full((m, c), np.nan))
        for m, k, c in ((70, 3, 9), (5, 11, 130), (1, 1, 1), (33, 0, 2))
    ]
    with threads.using(2):
        matmuls(jobs)
    for a, b, out in jobs:
        assert_close(out, a @ b)
    assert dispatches == [2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_number_of_threads_gives_the_same_bits(dispatches, dtype):
    a, b = normal(301, 67).astype(dtype), normal(67, 203).astype(dtype)
    with threads.using(3):
        first = matmul(a, b)
        assert first.dtype == dtype
        for _ in range(5):
            np.testing.assert_array_equal(matmul(a, b), first)
    assert len(dispatches) == 6


def test_inside_a_piece_of_work_a_matmul_stays_on_its_thread(dispatches):
    a, b = normal(100, 7), normal(7, 90)
    results = [None] * 4

    def work(i):
        results[i] = matmul(a, b)

    with threads.using(2):
        threads.each(work, 4)
    for got in results:
        assert_close(got, a @ b)
    assert dispatches == []


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (7, 5), (300, 2)])
def test_column_sums_are_the_sums_of_the_columns(shape):
    x = normal(*shape)
    np.testing.assert_allclose(column_sums(x), x.sum(axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_both_gradients_of_a_map_are_one_dispatch(dispatches, n):
    x, dout, weight = normal(75, 33), normal(75, 81), normal(33, 81)
    with threads.using(n):
        dx, dweight, _ = fast.linear_backward(dout, (x.shape, x, weight, False))
    assert_close(dx, dout @ weight.T)
    assert_close(dweight, x.T @ dout)
    assert dispatches == ([n] if n > 1 else [])


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0, 3)])
def test_linear_of_any_leading_axes_is_the_textbook_when_cut(dispatches, n, lead):
    x, weight, bias, dout = normal(*lead, 70), normal(70, 65), normal(65), normal(*lead, 65)
    with threads.using(n):
        out, cache = fast.linear_forward(x, weight, bias)
        grads = fast.linear_backward(dout, cache)
    wanted, wanted_cache = linear.linear_forward(x, weight, bias)
    for a, b in zip((out, *grads), (wanted, *linear.linear_backward(dout, wanted_cache))):
        assert_close(a, b)
