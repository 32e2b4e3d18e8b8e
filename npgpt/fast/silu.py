"""SiLU in cache-sized blocks; the mathematics is in layers/silu.py.

The kernels serve SwiGLU and the feed-forward network above all. As an op, x alone is saved, where
the textbook saves x and its sigmoid; so backward computes the sigmoid once more.
Measured on 1024 x 3072 float32, forward and backward together: as fast as the textbook on one core,
2.1 times on two; on 768 x 512 0.7 times.

Textbook   npgpt.layers.silu
"""

from __future__ import annotations

import numpy as np

from ..layers.contract import Array, Cache
from .activations import Kernels, activate, times_slope


def _silu_into(x: Array, out: Array, scratch: Array) -> None:
    _sigmoid(x, out)
    out *= x


def _silu_and_slope_into(x: Array, out: Array, slope: Array, scratch: Array) -> None:
    s, rest, _ = scratch
    _sigmoid(x, s)
    np.multiply(x, s, out=out)
    np.subtract(1.0, s, out=rest)
    rest *= out
    np.add(rest, s, out=slope)


def _sigmoid(x: Array, out: Array) -> None:
    # through tanh: exp(-x) overflows for very negative x
    np.multiply(x, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5


SILU = Kernels(_silu_into, _silu_and_slope_into)


def silu_forward(x: Array) -> tuple[Array, Cache]:
    """x * sigmoid(x), of x's shape. Raises TypeError unless x is float32 or float64."""
    return activate(SILU, x), x


def silu_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx, same shape as dout."""
    return (times_slope(SILU, dout, cache),)
