"""What every activation's kernels must do: extremes, destinations in place, borders of runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.fast.activations import Kernels, activate, times_slope
from npgpt.fast.blocks import BLOCK
from npgpt.fast.feed_forward import KERNELS
from npgpt.fast.relu import leaky_kernels
from npgpt.layers.feed_forward import ACTIVATIONS as TEXTBOOK
from npgpt.machine import threads

# the largest errors of float32 for x up to 8 in size; exact GELU's is its polynomial's
FLOAT32 = {"gelu_new": 2e-6, "gelu": 2e-6, "relu": 1e-7, "silu": 2e-6, "identity": 0.0}


def extremes(dtype):
    tiny = np.finfo(dtype).tiny
    least = np.nextafter(np.asarray(0, dtype), np.asarray(1, dtype))
    above = np.array([0.0, least, tiny / 2, tiny, 1e-4, 0.5, 3.0, 5.7, 12.9, 13.1, 40.0, 1e4])
    return np.concatenate([above, -above]).astype(dtype)


def forward(kernels: Kernels, x):
    """act(x), by the first kernel; scratch holds no number before."""
    out = np.full_like(x, np.nan)
    kernels.forward_into(x, out, np.full((3, *x.shape), np.nan, x.dtype))
    return out


def forward_and_slope(kernels: Kernels, x, slope=None):
    """act(x) and act'(x), by the second kernel; the slope may go into an array given."""
    out = np.full_like(x, np.nan)
    slope = np.full_like(x, np.nan) if slope is None else slope
    kernels.forward_and_slope_into(x, out, slope, np.full((3, *x.shape), np.nan, x.dtype))
    return out, slope


def of_textbook(name, x, dout):
    forward, backward = TEXTBOOK[name]
    out, cache = forward(x)
    return out, backward(dout, cache)[0]


def test_every_activation_of_the_textbook_but_identity_has_its_kernels():
    assert {*KERNELS, "leaky_relu", "identity"} == set(TEXTBOOK)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_denormals_and_ten_thousands_are_the_textbooks(name, dtype):
    x = extremes(dtype)
    dout = np.random.default_rng(0).standard_normal(x.shape).astype(dtype)
    wanted, wanted_dx = of_textbook(name, x, dout)
    tolerance = 4 * np.finfo(dtype).eps if name != "gelu" or dtype == "float64" else 1.5e-7
    # relative to the number that is weighed, or the gradient that is
    scale = np.maximum(np.abs(x), 1e-30)
    out = forward(KERNELS[name], x)
    again, slope = forward_and_slope(KERNELS[name], x)
    assert np.all(np.abs(out - wanted) <= tolerance * scale)
    assert np.all(np.abs(dout * slope - wanted_dx) <= 8 * tolerance * np.abs(dout))
    np.testing.assert_array_equal(again, out)


@pytest.mark.parametrize("name", sorted({*KERNELS} - {"identity"}))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_from_zero_an_activation_is_the_identity_or_nothing(name, dtype):
    x = np.array([1e4, 40.0, -40.0, -1e4], dtype)
    small = np.finfo(dtype).eps
    np.testing.assert_allclose(forward(KERNELS[name], x), [1e4, 40.0, 0.0, 0.0], rtol=small,
                               atol=1e-12 if dtype == "float64" else 1e-5)
    _, slope = forward_and_slope(KERNELS[name], x)
    np.testing.assert_allclose(slope, [1.0, 1.0, 0.0, 0.0], rtol=small, atol=1e-5)


@pytest.mark.parametrize("name", [*KERNELS, "leaky"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_slope_may_be_written_over_x(name, dtype):
    kernels = KERNELS[name] if name in KERNELS else leaky_kernels(np.array([0.3], dtype))
    x = (3 * np.random.default_rng(1).standard_normal((7, 11))).astype(dtype)
    untouched = x.copy()
    untouched.flags.writeable = False
    wanted_out, wanted = forward_and_slope(kernels, untouched)
    out, slope = forward_and_slope(kernels, x, slope=x)
    np.testing.assert_array_equal(slope, wanted)
    np.testing.assert_array_equal(out, wanted_out)


@pytest.mark.parametrize("name", KERNELS)
def test_float32_is_as_exact_as_promised_against_float64(name):
    x = np.linspace(-8, 8, 20011).astype(np.float32)
    dout = np.random.default_rng(2).choice([-1.0, 1.0], x.shape).astype(np.float32)
    out, dx = of_textbook(name, x.astype(float), dout.astype(float))
    assert np.abs(forward(KERNELS[name], x) - out).max() <= FLOAT32[name]
    assert np.abs(dout * forward_and_slope(KERNELS[name], x)[1] - dx).max() <= FLOAT32[name]


@pytest.mark.parametrize("name", KERNELS)
@given(extra=st.integers(-1, 1), full=st.sampled_from([1, 8, 9]), n=st.integers(1, 3))
@settings(max_examples=9)
def test_elements_at_the_borders_of_runs_and_threads_are_all_done(name, extra, full, n):
    x = np.random.default_rng(full).standard_normal(full * BLOCK + extra)
    dout = x[::-1].copy()
    wanted, wanted_dx = of_textbook(name, x, dout)
    with threads.using(n):
        out, dx = activate(KERNELS[name], x), times_slope(KERNELS[name], dout, x)
    np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dx, wanted_dx, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["gelu", "silu", "relu"])
def test_the_largest_numbers_of_float32_have_slope_1_or_0(name):
    x = np.array([3e38, 1e20, -1e20, -3e38], np.float32)
    out, slope = forward_and_slope(KERNELS[name], x)
    np.testing.assert_array_equal(slope, [1, 1, 0, 0])
    np.testing.assert_array_equal(out, np.maximum(x, 0))
