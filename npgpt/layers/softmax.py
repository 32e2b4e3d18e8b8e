"""Softmax: turn each row of scores into positive weights that sum to 1.

Forward    out_i = exp(x_i - m) / sum_j exp(x_j - m)        m = max(x), which cancels
Backward   d out_j / d x_i = out_j * ((i == j) - out_i)
           dx = out * (dout - sum_j dout_j * out_j)
           the sum is the path through the denominator, which every x_i feeds

Shapes     x, out (..., N); rows lie along the last axis
Saved for backward   out alone
Source     Bridle 1990; the shift by the maximum is folklore
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache


def softmax_forward(x: Array) -> tuple[Array, Cache]:
    """Normalise the last axis of x (..., N) with exp; scores of any finite size are safe.

    A score of -inf gets weight 0, as long as its row has one finite score.
    """
    if x.shape[-1] == 0:
        return x.copy(), x
    # subtract the row maximum: exp of a large score overflows
    shifted = x - x.real.max(axis=-1, keepdims=True)            # (..., N)
    exps = np.exp(shifted)                                      # (..., N)
    out = exps / exps.sum(axis=-1, keepdims=True)               # (..., N)
    return out, out


def softmax_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx (..., N) from dout (..., N)."""
    out = cache
    through_sum = (dout * out).sum(axis=-1, keepdims=True)      # (..., 1)
    dx = out * (dout - through_sum)                             # (..., N)
    return (dx,)
