"""The activation kernels: extreme numbers, destinations in place, and how exact float32 is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.fast import activations
from npgpt.fast.activations import KERNELS, leaky_kernels, slope_gradient
from npgpt.fast.blocks import BLOCK
from npgpt.layers import gelu, identity, relu, silu
from npgpt.machine import threads

TEXTBOOK = {
    "gelu_new": (gelu.gelu_forward, gelu.gelu_backward),
    "gelu": (gelu.gelu_exact_forward, gelu.gelu_exact_backward),
    "relu": (relu.relu_forward, relu.relu_backward),
    "silu": (silu.silu_forward, silu.silu_backward),
    "identity": (identity.identity_forward, identity.identity_backward),
}
FAST = {
    "gelu_new": (activations.gelu_forward, activations.gelu_backward),
    "gelu": (activations.gelu_exact_forward, activations.gelu_exact_backward),
    "relu": (activations.relu_forward, activations.relu_backward),
    "silu": (activations.silu_forward, activations.silu_backward),
    "identity": (activations.identity_forward, activations.identity_backward),
}
# the largest errors of float32 for numbers up to 8 in size; exact GELU's is its polynomial's
FLOAT32 = {"gelu_new": 2e-6, "gelu": 2e-6, "relu": 1e-7, "silu": 2e-6, "identity": 0.0}


def extremes(dtype):
    tiny = np.finfo(dtype).tiny
    least = np.nextafter(np.asarray(0, dtype), np.asarray(1, dtype))
    above = np.array([0.0, least, tiny / 2, tiny, 1e-4, 0.5, 3.0, 5.7, 12.9, 13.1, 40.0, 1e4])
    return np.concatenate([above, -above]).astype(dtype)


def bend(kernels, x):
    out = np.empty_like(x)
    kernels.bend(x, out, np.full((3, *x.shape), np.nan, x.dtype))
    return out


def keep(kernels, x, slope=None):
    bent = np.full_like(x, np.nan)
    slope = np.full_like(x, np.nan) if slope is None else slope
    kernels.keep(x, bent, slope, np.full((3, *x.shape), np.nan, x.dtype))
    return bent, slope


def of_textbook(name, x, dout):
    forward, backward = TEXTBOOK[name]
    out, cache = forward(x)
    return out, backward(dout, cache)[0]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_denormals_and_ten_thousands_bend_as_in_the_textbook(name, dtype):
    x = extremes(dtype)
    dout = np.random.default_rng(0).standard_normal(x.shape).astype(dtype)
    out, dx = of_textbook(name, x, dout)
    tolerance = 4 * np.finfo(dtype).eps if name != "gelu" or dtype == "float64" else 1.5e-7
    # relative to the number that is weighed, or the gradient that is
    scale = np.maximum(np.abs(x), 1e-30)
    fast = bend(KERNELS[name], x)
    bent, slope = keep(KERNELS[name], x)
    fast_dx = dout * slope
    assert np.all(np.abs(fast - out) <= tolerance * scale)
    assert np.all(np.abs(fast_dx - dx) <= 8 * tolerance * np.abs(dout))
    np.testing.assert_array_equal(bent, fast)


@pytest.mark.parametrize("name", sorted({*KERNELS} - {"identity"}))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_from_zero_an_activation_is_the_identity_or_nothing(name, dtype):
    x = np.array([1e4, 40.0, -40.0, -1e4], dtype)
    small = np.finfo(dtype).eps
    np.testing.assert_allclose(bend(KERNELS[name], x), [1e4, 40.0, 0.0, 0.0], rtol=small,
                               atol=1e-12 if dtype == "float64" else 1e-5)
    _, slope = keep(KERNELS[name], x)
    np.testing.assert_allclose(slope, [1.0, 1.0, 0.0, 0.0], rtol=small, atol=1e-5)


@pytest.mark.parametrize("name", [*KERNELS, "leaky"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_slope_may_be_written_over_what_came_in(name, dtype):
    kernels = KERNELS[name] if name in KERNELS else leaky_kernels(np.array([0.3], dtype))
    x = (3 * np.random.default_rng(1).standard_normal((7, 11))).astype(dtype)
    untouched = x.copy()
    untouched.flags.writeable = False
    wanted_bent, wanted = keep(kernels, untouched)
    bent, slope = keep(kernels, x, slope=x)
    np.testing.assert_array_equal(slope, wanted)
    np.testing.assert_array_equal(bent, wanted_bent)


@pytest.mark.parametrize("name", KERNELS)
def test_float32_is_as_exact_as_promised_against_float64(name):
    x = np.linspace(-8, 8, 20011).astype(np.float32)
    dout = np.random.default_rng(2).choice([-1.0, 1.0], x.shape).astype(np.float32)
    out, dx = of_textbook(name, x.astype(float), dout.astype(float))
    assert np.abs(bend(KERNELS[name], x) - out).max() <= FLOAT32[name]
    assert np.abs(dout * keep(KERNELS[name], x)[1] - dx).max() <= FLOAT32[name]


def test_the_normal_distribution_in_float32_is_as_exact_as_its_polynomial():
    x = np.linspace(-20, 20, 8001).astype(np.float32)
    tail, pdf, size, rest = np.empty((4, *x.shape), np.float32)
    activations._normal_tail(x, tail, pdf, size, rest)
    exact = [0.5 * math.erfc(abs(float(z)) / math.sqrt(2)) for z in x]
    # half of the polynomial's 1.5e-7, and the roundings of float32 near 1
    assert np.abs(tail - exact).max() <= 0.75e-7 + 3 * np.finfo(np.float32).eps / 2
    assert np.abs(pdf - np.exp(-x.astype(float)**2 / 2) / math.sqrt(2 * math.pi)).max() <= 1e-7


@pytest.mark.parametrize("slope", [-0.7, 0.0, 0.01, 1.0, 1.8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_leaky_relu_with_any_slope_is_the_textbook(slope, dtype):
    x, gain = extremes(dtype), np.array([slope], dtype)
    dout = np.random.default_rng(3).standard_normal(x.shape).astype(dtype)
    out, cache = relu.leaky_relu_forward(x, gain)
    dx, dslope = relu.leaky_relu_backward(dout, cache)
    fast_out, fast_cache = activations.leaky_relu_forward(x, gain)
    fast_dx, fast_dslope = activations.leaky_relu_backward(dout, fast_cache)
    small = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(fast_out, out, rtol=small)
    np.testing.assert_allclose(fast_dx, dx, rtol=small)
    np.testing.assert_allclose(fast_dslope, dslope, rtol=50 * small)
    assert fast_dslope.shape == (1,) and fast_dslope.dtype == dtype
    assert slope_gradient(np.abs(x), dout) == 0.0


@pytest.mark.parametrize("name", KERNELS)
@given(extra=st.integers(-1, 1), whole=st.sampled_from([1, 8, 9]), n=st.integers(1, 3))
@settings(max_examples=9)
def test_numbers_at_the_borders_of_blocks_and_threads_are_all_done(name, extra, whole, n):
    x = np.random.default_rng(whole).standard_normal(whole * BLOCK + extra)
    dout = x[::-1].copy()
    out, dx = of_textbook(name, x, dout)
    forward, backward = FAST[name]
    with threads.using(n):
        fast_out, cache = forward(x)
        (fast_dx,) = backward(dout, cache)
    np.testing.assert_allclose(fast_out, out, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fast_dx, dx, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["gelu", "silu", "relu"])
def test_the_largest_numbers_of_float32_have_slope_1_or_0(name):
    x = np.array([3e38, 1e20, -1e20, -3e38], np.float32)
    bent, slope = keep(KERNELS[name], x)
    np.testing.assert_array_equal(slope, [1, 1, 0, 0])
    np.testing.assert_array_equal(bent, np.maximum(x, 0))
