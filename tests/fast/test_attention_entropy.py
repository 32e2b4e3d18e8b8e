"""The entropy in blocks: the textbook's numbers on any number of threads, and little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from npgpt.fast import attention_entropy as fast
from npgpt.fast import scores
from npgpt.layers import attention_entropy as textbook
from npgpt.machine import threads


def example(b, t, c, h, dtype=np.float64):
    rng = np.random.default_rng(0)
    return rng.standard_normal((b, t, 3 * c)).astype(dtype), rng.standard_normal(h).astype(dtype)


def both_ways(pair, qkv, dout):
    out, cache = pair.attention_entropy_forward(qkv, n_head=len(dout))
    return out, *pair.attention_entropy_backward(dout, cache)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("t", [1, 33, scores.QUERIES, scores.QUERIES + 1, 2 * scores.QUERIES + 5,
                               scores.LONG + 5])
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 2e-5)])
def test_lengths_around_the_borders_of_blocks_are_the_textbook_on_any_threads(
        every_size_on_threads, n, t, dtype, tolerance):
    qkv, dout = example(3, t, 8, 4, dtype)
    out, dqkv = both_ways(textbook, qkv, dout)
    with threads.using(n):
        fast_out, fast_dqkv = both_ways(fast, qkv, dout)
    np.testing.assert_allclose(fast_out, out, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fast_dqkv, dqkv, rtol=0,
                               atol=tolerance * max(np.abs(dqkv).max(), 1e-3))
    assert fast_out.dtype == fast_dqkv.dtype == dtype


@pytest.mark.parametrize("heads_in_a_stack", [1, 2, 5])
def test_any_cut_into_stacks_is_the_textbook(monkeypatch, heads_in_a_stack):
    monkeypatch.setattr(scores, "STACK", heads_in_a_stack * 81)
    qkv, dout = example(4, 9, 10, 5)
    for got, wanted in zip(both_ways(fast, qkv, dout), both_ways(textbook, qkv, dout)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-14)


def test_the_number_of_threads_does_not_change_a_bit(every_size_on_threads):
    qkv, dout = example(7, 33, 8, 4, np.float32)
    results = []
    for n in (1, 2, 3):
        with threads.using(n):
            results.append(both_ways(fast, qkv, dout))
    for out, dqkv in results[1:]:
        np.testing.assert_array_equal(out, results[0][0])
        np.testing.assert_array_equal(dqkv, results[0][1])


def test_scores_of_thousands_are_the_textbooks():
    qkv, dout = example(2, 40, 8, 2)
    qkv *= 60
    for got, wanted in zip(both_ways(fast, qkv, dout), both_ways(textbook, qkv, dout)):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-10)


def test_nan_is_not_lost():
    qkv, dout = example(2, 5, 4, 2)
    qkv[1, 3, 0] = np.nan                           # a query of the first head
    out, dqkv = both_ways(fast, qkv, dout)
    wanted, _ = both_ways(textbook, qkv, dout)
    assert np.isnan(out).tolist() == np.isnan(wanted).tolist() == [True, False]


def test_no_square_of_the_length_is_held_or_saved():
    t, h = 6 * scores.QUERIES, 3
    qkv, dout = example(1, t, 12, h, np.float32)
    both_ways(fast, qkv, dout)                      # what is imported and cached for good
    # one thread: without the GIL, what a sleeping one made is freed when it runs again
    with threads.using(1):
        tracemalloc.start()
        out, cache = fast.attention_entropy_forward(qkv, n_head=h)
        saved, _ = tracemalloc.get_traced_memory()
        fast.attention_entropy_backward(dout, cache)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # three numbers a row, beside qkv; the textbook saves two squares a head
    assert saved < 4 * h * t * 4
    assert peak < h * t * t * 4
