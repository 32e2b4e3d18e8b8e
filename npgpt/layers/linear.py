"""Linear: every position's channels times one matrix, plus a bias.

Forward    out = x @ weight + bias
Backward   dx      = dout @ weight.T
           dweight = sum over positions of outer(x, dout) = x.T @ dout, positions as rows
           dbias   = sum over positions of dout

The weight is stored (in, out) as in GPT-2's checkpoints, so nothing is transposed on loading.

Shapes     x (..., I)    weight (I, O)    bias (O,) or None    out (..., O)
Saved for backward   x and weight
Source     GPT-2's "Conv1D" of width 1
"""

from __future__ import annotations

import math

from .contract import Array, Cache, check_shapes


def check_linear(x: Array, weight: Array, bias: Array | None) -> None:
    """Raise ValueError unless weight is (I, O), I the last axis of x, and bias (O,) or None."""
    check_shapes(x.shape[-1:] == weight.shape[:-1] and
                 (bias is None or bias.shape == weight.shape[1:]),
                 "linear expects x (..., I), weight (I, O) and bias (O,) or None",
                 x=x, weight=weight, bias=bias)


def linear_forward(x: Array, weight: Array, bias: Array | None) -> tuple[Array, Cache]:
    """x (..., I) @ weight (I, O) + bias (O,) gives (..., O); bias None adds nothing.

    Raises ValueError as `check_linear`.
    """
    check_linear(x, weight, bias)
    out = x @ weight                                            # (..., O)
    if bias is not None:
        out = out + bias
    return out, (x, weight, bias is not None)


def as_rows(x: Array) -> Array:
    """(..., C) -> (N, C): every position a row."""
    # not reshape(-1, C): with C = 0 it cannot tell how many rows there are
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def linear_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array | None]:
    """Give (dx, dweight, dbias): dx (..., I), dweight (I, O), dbias (O,) or None."""
    x, weight, has_bias = cache
    dx = dout @ weight.T                                        # (..., I)
    x_rows, dout_rows = as_rows(x), as_rows(dout)               # (N, I), (N, O)
    dweight = x_rows.T @ dout_rows                              # (I, O)
    dbias = dout_rows.sum(axis=0) if has_bias else None         # (O,)
    return dx, dweight, dbias
