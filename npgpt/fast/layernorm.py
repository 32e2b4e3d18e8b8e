"""LayerNorm in runs of rows that stay in cache; the mathematics is in layers/layernorm.py.

Row means and column sums are matmuls with a vector (BLAS) instead of reductions. The backward
needs only two of them for its row sums, since mean(dout * weight) = dout @ (weight / C).
Measured in float32 on one core, forward and backward together: 1.25 times as fast as the textbook
on 1024 x 768, 1.3 times on 768 x 128.

Textbook   npgpt.layers.layernorm
"""

from __future__ import annotations

import numpy as np

from ..layers.contract import Array, Cache
from ..layers.layernorm import check_layernorm
from ..machine.threads import THRESHOLDS, each
from .blocks import as_rows, in_runs, of_one_type, run_length, runs

# rows are summed in pieces of this many, whatever the number of threads: same pieces, same bits
_PIECE = 256


def layernorm_forward(
    x: Array, weight: Array, bias: Array, *, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalise x (..., C) over its channels, then scale by weight (C,) and shift by bias (C,).

    Gives (..., C). Raises ValueError as `check_layernorm`, TypeError unless all are float32 or
    float64.
    """
    check_layernorm(x, weight, bias)
    x, weight, bias = of_one_type(x, weight, bias)
    rows = as_rows(x)                                           # (N, C)
    count, width = rows.shape
    xhat, out = np.empty_like(rows), np.empty_like(rows)
    rstd = np.empty((count, 1), rows.dtype)
    mean_of = np.full(width, 1.0 / max(width, 1), rows.dtype)

    def work(run: slice, scratch: Array) -> None:
        centred = xhat[run]
        np.subtract(rows[run], (rows[run] @ mean_of)[:, None], out=centred)
        var = np.einsum("ij,ij->i", centred, centred)
        var *= 1.0 / max(width, 1)
        var += eps
        np.sqrt(var, out=var)
        np.reciprocal(var, out=rstd[run, 0])
        centred *= rstd[run]
        np.multiply(centred, weight, out=out[run])
        out[run] += bias

    in_runs(work, rows)
    return out.reshape(x.shape), (xhat, rstd, weight)


def layernorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Give (dx, dweight, dbias): dx (..., C), dweight and dbias (C,)."""
    xhat, rstd, weight = cache
    drows = as_rows(dout)                                       # (N, C)
    count, width = drows.shape
    dx = np.empty_like(drows)
    mean_weight = weight / max(width, 1)
    pieces = max(1, -(-count // _PIECE))
    dweights = np.zeros((pieces, width), drows.dtype)
    dbiases = np.zeros((pieces, width), drows.dtype)

    def work(piece: int) -> None:
        start, stop = piece * _PIECE, min(count, (piece + 1) * _PIECE)
        scratch = np.empty((min(stop - start, run_length(width)), width), drows.dtype)
        for run in runs(start, stop, width):
            d, xh, dxr = drows[run], xhat[run], dx[run]
            ones = np.ones(len(d), drows.dtype)
            scaled = np.multiply(d, xh, out=scratch[:len(d)])
            dweights[piece] += ones @ scaled
            dbiases[piece] += ones @ d
            through_var = (scaled @ mean_weight)[:, None]
            through_mean = (d @ mean_weight)[:, None]
            np.multiply(d, weight, out=dxr)
            dxr -= through_mean
            np.multiply(xh, through_var, out=scaled)
            dxr -= scaled
            dxr *= rstd[run]

    each(work, pieces, drows.size >= THRESHOLDS.elements)
    return dx.reshape(dout.shape), dweights.sum(axis=0), dbiases.sum(axis=0)
