"""Normal numbers from uniform ones as PyTorch's vector code makes them: to the last bit of float32.

Sixteen uniform numbers give sixteen normal ones, the first eight and the last eight in pairs:

    r = sqrt(-2 ln(1 - x[i]))      out[i]     = r cos(2 pi x[i + 8])
                                   out[i + 8] = r sin(2 pi x[i + 8])          i = 0 .. 7

In float32 PyTorch does not call the C library here. It evaluates short polynomials, eight numbers
at a time, with fused multiply-add. The steps below are the same, in the same order.

Source     Box, Muller 1958; the polynomials are those of the Cephes library (S. Moshier), logf and
           sinf/cosf; the order of steps is that of PyTorch on x86-64 with AVX2 or AVX-512
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

from ..layers.contract import Array
from .fused import fused_multiply_add

F = np.float32

# ln(1 + x) on [sqrt(1/2) - 1, sqrt(2) - 1], highest power first
LOG_POLYNOMIAL = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)
SQRT_HALF = F(0.707106781186547524)
# ln 2 in two parts: the first has few bits, so that e * LN2_HIGH is exact
LN2_LOW, LN2_HIGH = F(-2.12194440e-4), F(0.693359375)

SIN_POLYNOMIAL = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS_POLYNOMIAL = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
FOUR_OVER_PI = F(1.27323954473516)
# -pi/4 in three parts, each short enough that a multiple of it is exact
MINUS_PI_OVER_4 = (F(-0.78515625), F(-2.4187564849853515625e-4), F(-3.77489497744594108e-8))

BLOCK = 2**14      # uniform numbers handled at a time, so that the steps stay in the cache


def normals_from_uniforms(uniforms: Array) -> Array:
    """Normal numbers (N,) from uniform ones (N,) in [0, 1), float32 or float64; 16 divides N."""
    if uniforms.ndim != 1 or uniforms.size % 16:
        raise ValueError(f"expected uniform numbers (N,), N a multiple of 16; got {uniforms.shape}")
    out = np.empty_like(uniforms)
    for start in range(0, uniforms.size, BLOCK):
        rows = uniforms[start:start + BLOCK].reshape(-1, 16)
        u1, u2 = rows.dtype.type(1) - rows[:, :8], rows[:, 8:]
        if rows.dtype == np.float32:
            log_u1 = _log(np.ascontiguousarray(u1))
            sine, cosine = _sine_and_cosine(F(2 * np.pi) * u2)
        else:
            log_u1, angle = _each(math.log, u1), 2 * np.pi * u2
            sine, cosine = _each(math.sin, angle), _each(math.cos, angle)
        radius = np.sqrt(rows.dtype.type(-2) * log_u1)
        block = out[start:start + BLOCK].reshape(-1, 16)
        block[:, :8] = radius * cosine
        block[:, 8:] = radius * sine
    return out


def _each(function: Callable[[float], float], x: Array) -> Array:
    # the C library's log, sin and cos, as PyTorch calls them; NumPy's own differ in the last bit
    return np.array([function(value) for value in x.ravel().tolist()]).reshape(x.shape)


def _log(x: Array) -> Array:
    # x = m * 2^e with m in [sqrt(1/2), sqrt(2)); ln x = ln m + e ln 2
    bits = x.view(np.int32)
    exponent = ((bits >> 23) - 126).astype(F)
    mantissa = ((bits & 0x007FFFFF) | 0x3F000000).view(F)           # in [1/2, 1)
    small = mantissa < SQRT_HALF
    exponent -= small
    m = mantissa - F(1)
    m += np.where(small, mantissa, F(0))
    square = m * m
    y = _polynomial(LOG_POLYNOMIAL, m) * m
    y = fused_multiply_add(y, square, exponent * LN2_LOW)
    y = fused_multiply_add(square, F(-0.5), y)
    return fused_multiply_add(exponent, LN2_HIGH, m + y)


def _sine_and_cosine(angle: Array) -> tuple[Array, Array]:
    # angles are positive; the nearest even multiple of pi/4 is subtracted
    octant = (angle * FOUR_OVER_PI).astype(np.int32)
    octant = (octant + 1) & ~1
    turns = octant.astype(F)
    x = angle
    for part in MINUS_PI_OVER_4:
        x = fused_multiply_add(turns, part, x)
    square = x * x
    y = _polynomial(COS_POLYNOMIAL, square) * square
    near_one = fused_multiply_add(y, square, -(square * F(0.5))) + F(1)         # cos x
    y = _polynomial(SIN_POLYNOMIAL, square) * square
    near_zero = fused_multiply_add(y, x, x)                                     # sin x

    swapped = (octant & 2) != 0
    sine = np.where(swapped, near_one, near_zero)
    cosine = np.where(swapped, near_zero, near_one)
    np.negative(sine, out=sine, where=(octant & 4) != 0)
    np.negative(cosine, out=cosine, where=((octant + 2) & 4) != 0)
    return sine, cosine


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    first, *others = (F(c) for c in coefficients)
    y: Array = np.full_like(x, first)
    for c in others:
        y = fused_multiply_add(y, x, c)
    return y
