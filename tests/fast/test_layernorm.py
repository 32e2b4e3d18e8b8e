"""LayerNorm in runs: borders of pieces, bits that no thread changes, rows with nothing in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.fast import layernorm as fast
from npgpt.fast.blocks import BLOCK
from npgpt.layers import layernorm as textbook
from npgpt.machine import threads


def example(lead, width, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = ((*lead, width), (width,), (width,), (*lead, width))
    x, weight, bias, dout = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return (3 * x + 2, weight, bias), dout


def both_ways(room, inputs, dout, eps=1e-5):
    out, cache = room.layernorm_forward(*inputs, eps=eps)
    return out, *room.layernorm_backward(dout, cache)


def assert_same(inputs, dout, eps=1e-5, tolerance=1e-12):
    got, wanted = (both_ways(room, inputs, dout, eps) for room in (fast, textbook))
    for a, b in zip(got, wanted):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert np.linalg.norm(a - b) <= tolerance * max(np.linalg.norm(b), 1.0)


@pytest.mark.parametrize("rows", [
    0, 1, fast._PIECE - 1, fast._PIECE, fast._PIECE + 1, 2 * fast._PIECE + 3
])
def test_rows_around_the_borders_of_pieces_are_the_textbook(rows):
    assert_same(*example((rows,), 37))


@pytest.mark.parametrize("width", [2, 129, BLOCK - 1, BLOCK + 1])
def test_widths_up_to_more_than_a_block_are_the_textbook(width):
    assert_same(*example((2, 3), width))


@given(
    lead=st.lists(st.integers(1, 7), max_size=3), width=st.integers(2, 60),
    eps=st.sampled_from([1e-5, 1e-3, 0.5]),
)
@settings(max_examples=40)
def test_any_leading_axes_and_eps_agree_with_the_textbook(lead, width, eps):
    assert_same(*example(lead, width), eps=eps, tolerance=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_threads_changes_no_bit_of_the_gradients(dtype):
    inputs, dout = example((5 * fast._PIECE - 100,), 250, dtype=dtype)
    assert dout.size >= threads.THRESHOLDS.elements
    _, cache = fast.layernorm_forward(*inputs)
    results = []
    for n in (1, 2, 3):
        # BLAS on one thread throughout: its own threads cut sums in their own way
        with threads.using(n), threads.one_blas_thread():
            results.append(fast.layernorm_backward(dout, cache))
    for other in results[1:]:
        for a, b in zip(other, results[0]):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [2, 3])
def test_many_rows_on_threads_are_the_textbook(n):
    with threads.using(n):
        assert_same(*example((3, 701), 130))


def test_a_row_of_equal_numbers_becomes_the_bias():
    (x, weight, bias), dout = example((4,), 6)
    x[1], x[2] = 0.0, -7.0
    out, _ = fast.layernorm_forward(x, weight, bias)
    np.testing.assert_allclose(out[1:3], np.stack([bias, bias]), atol=1e-12)
    # rstd is 1 / sqrt(eps) there
    assert_same((x, weight, bias), dout, tolerance=1e-11)


def test_every_row_has_mean_zero_and_variance_one_before_the_scale():
    (x, _, _), _ = example((50,), 31)
    out, _ = fast.layernorm_forward(x * 100, np.ones(31), np.zeros(31))
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((out * out).mean(axis=1), 1, atol=1e-8)


def test_a_shift_of_the_input_changes_nothing_and_the_gradient_sums_to_zero():
    (x, weight, bias), dout = example((9,), 31)
    out, cache = fast.layernorm_forward(x, weight, bias)
    shifted, _ = fast.layernorm_forward(x + 5, weight, bias)
    np.testing.assert_allclose(shifted, out, rtol=1e-12, atol=1e-12)
    dx, _, _ = fast.layernorm_backward(dout, cache)
    np.testing.assert_allclose(dx.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_float32_loses_no_more_than_its_rounding(offset):
    (x, weight, bias), dout = example((300,), 768)
    x = (x + offset).astype(np.float32)
    small = [a.astype(np.float32) for a in (weight, bias, dout)]
    exact = both_ways(textbook, [a.astype(float) for a in (x, *small[:2])], small[2].astype(float))
    got = both_ways(fast, (x, *small[:2]), small[2])
    # a mean of a thousand is known to a thousand roundings
    tolerance = 3 * np.finfo(np.float32).eps * max(1.0, offset)
    for a, b in zip(got, exact):
        assert a.dtype == np.float32
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)
