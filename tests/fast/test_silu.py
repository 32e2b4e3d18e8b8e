"""SiLU: one saved array, and sigmoids that neither overflow nor lose their zeros."""

from __future__ import annotations

import numpy as np
import pytest

from npgpt.fast.silu import silu_backward, silu_forward
from npgpt.layers import silu as textbook


def test_x_alone_is_saved_and_both_ways_are_the_textbook():
    x, dout = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    out, cache = silu_forward(x)
    assert cache is x
    wanted, wanted_cache = textbook.silu_forward(x)
    np.testing.assert_allclose(out, wanted, rtol=1e-14)
    (wanted_dx,) = textbook.silu_backward(dout, wanted_cache)
    np.testing.assert_allclose(silu_backward(dout, cache)[0], wanted_dx, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_very_negative_x_gives_0_and_slope_0_without_overflow(dtype):
    x = np.array([-1e4, -750.0, -90.0], dtype)
    out, cache = silu_forward(x)
    np.testing.assert_allclose(out, 0.0, atol=1e-6)
    np.testing.assert_allclose(silu_backward(np.ones_like(x), cache)[0], 0.0, atol=1e-6)
