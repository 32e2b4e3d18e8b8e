"""ReLU and leaky ReLU: any slope, zeros of either sign, and what the gradient of the slope sums."""

from __future__ import annotations

import numpy as np
import pytest

from npgpt.fast.blocks import BLOCK
from npgpt.fast.relu import (
    leaky_relu_backward,
    leaky_relu_forward,
    relu_backward,
    relu_forward,
    slope_gradient,
)
from npgpt.layers import relu as textbook

from .test_activations import extremes


def test_relu_at_zeros_and_denormals_is_the_textbook_and_saves_x_alone():
    x = extremes("float32")
    out, cache = relu_forward(x)
    assert cache is x
    wanted, wanted_cache = textbook.relu_forward(x)
    np.testing.assert_array_equal(out, wanted)
    dout = np.random.default_rng(0).standard_normal(x.shape).astype("float32")
    np.testing.assert_array_equal(relu_backward(dout, cache)[0],
                                  textbook.relu_backward(dout, wanted_cache)[0])


@pytest.mark.parametrize("slope", [-0.7, 0.0, 0.01, 1.0, 1.8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_leaky_relu_with_any_slope_is_the_textbook(slope, dtype):
    x, factor = extremes(dtype), np.array([slope], dtype)
    dout = np.random.default_rng(3).standard_normal(x.shape).astype(dtype)
    wanted, wanted_cache = textbook.leaky_relu_forward(x, factor)
    wanted_dx, wanted_dslope = textbook.leaky_relu_backward(dout, wanted_cache)
    out, cache = leaky_relu_forward(x, factor)
    dx, dslope = leaky_relu_backward(dout, cache)
    small = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, wanted, rtol=small)
    np.testing.assert_allclose(dx, wanted_dx, rtol=small)
    np.testing.assert_allclose(dslope, wanted_dslope, rtol=50 * small)
    assert dslope.shape == (1,) and dslope.dtype == dtype


def test_the_slopes_gradient_counts_every_run_and_nothing_above_zero():
    x = np.random.default_rng(4).standard_normal(2 * BLOCK + 3)
    dout = x[::-1].copy()
    _, cache = leaky_relu_forward(x, np.array([0.3]))
    _, dslope = leaky_relu_backward(dout, cache)
    np.testing.assert_allclose(dslope, (dout * x)[x <= 0].sum(), rtol=1e-11)
    assert slope_gradient(np.abs(x), dout) == 0.0
