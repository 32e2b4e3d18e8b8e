"""Softmax in runs of rows that stay in cache; the mathematics is in layers/softmax.py.

Measured on 1024 x 3072 float32, forward and backward together on one core: 1.2 times as fast as
the textbook; on rows of 512 no slower.

Textbook   npgpt.layers.softmax
"""

from __future__ import annotations

import numpy as np

from ..layers.contract import Array, Cache
from .blocks import as_rows, check_real, in_runs


def softmax_forward(x: Array) -> tuple[Array, Cache]:
    """Normalise the last axis of x (..., N) with exp.

    Raises TypeError unless x is float32 or float64.
    """
    check_real(x)
    if x.size == 0:
        return x.copy(), x
    rows = as_rows(x)                                           # (R, N)
    out = np.empty_like(rows)

    def work(run: slice, scratch: Array) -> None:
        # subtract the row maximum: exp of a large score overflows
        np.subtract(rows[run], rows[run].max(axis=-1, keepdims=True), out=out[run])
        np.exp(out[run], out=out[run])
        out[run] /= out[run].sum(axis=-1, keepdims=True)

    in_runs(work, rows)
    shaped = out.reshape(x.shape)
    return shaped, shaped


def softmax_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx (..., N) from dout (..., N)."""
    if dout.size == 0:
        return (np.zeros_like(cache),)
    out, drows = as_rows(cache), as_rows(dout)
    dx = np.empty_like(out)

    def work(run: slice, scratch: Array) -> None:
        through_sum = np.einsum("ij,ij->i", drows[run], out[run])[:, None]
        np.subtract(drows[run], through_sum, out=dx[run])
        dx[run] *= out[run]

    in_runs(work, out)
    return (dx.reshape(dout.shape),)
