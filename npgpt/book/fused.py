"""a * b + c with one rounding, which processors do in one step and NumPy cannot ask for."""

from __future__ import annotations

import numpy as np

from ..layers.contract import Array

SPLITTER = float(2**27 + 1)


def fused_multiply_add(a: Array, b: Array | np.floating, c: Array | np.floating) -> Array:
    """a * b + c, rounded once; all float32 or all float64, the result has their dtype.

    float32: the product of two is exact in float64. float64: the product and the sum are each split
    into a rounded number and its exact error (Dekker 1971; Knuth, TAOCP vol. 2, 4.2.2). A result
    that lies almost exactly between two neighbours may still go to the wrong one.
    """
    if a.dtype == np.float32:
        return np.asarray(np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)
    product = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(np.asarray(b))
    product_error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = product + c
    c_part = total - product
    total_error = (product - (total - c_part)) + (c - c_part)
    return np.asarray(total + (total_error + product_error))


def _halves(x: Array) -> tuple[Array, Array]:
    # two numbers of 26 bits each with the sum x: their products are exact
    scaled = SPLITTER * x
    high = scaled - (scaled - x)
    return high, x - high
