"""Softmax, residual, dropout and the embedding tables; the mathematics is in layers/.

Softmax works in runs of rows in cache. Dropout keeps one bit per number instead of a float mask:
a thirty-second of the memory, for twice the time of its backward, which is small beside the draws.
The gradient of an embedding table is added up by tokens instead of one row after the other:
positions sorted by token, then one sum per run of equal tokens.

Textbook   npgpt.layers.softmax, npgpt.layers.residual, npgpt.layers.dropout, npgpt.layers.embedding
"""

from __future__ import annotations

import math

import numpy as np

from ..layers.contract import Array, Cache, UniformSource
from ..machine.threads import ELEMENTS, parts
from ..tape import SparseGradient
from .blocks import as_rows, check_real, run_length, runs


def softmax_forward(x: Array) -> tuple[Array, Cache]:
    """Normalise the last axis of x (..., N) with exp; see layers/softmax.py."""
    check_real(x)
    if x.size == 0:
        return x.copy(), x
    rows = as_rows(x)                                           # (R, N)
    out = np.empty_like(rows)

    def work(start: int, stop: int) -> None:
        for run in runs(start, stop, rows.shape[1]):
            # subtract the row maximum: exp of a large score overflows
            np.subtract(rows[run], rows[run].max(axis=-1, keepdims=True), out=out[run])
            np.exp(out[run], out=out[run])
            out[run] /= out[run].sum(axis=-1, keepdims=True)

    parts(work, len(rows), rows.size >= ELEMENTS)
    shaped = out.reshape(x.shape)
    return shaped, shaped


def softmax_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx (..., N) from dout (..., N)."""
    if dout.size == 0:
        return (np.zeros_like(cache),)
    out, drows = as_rows(cache), as_rows(dout)
    dx = np.empty_like(out)

    def work(start: int, stop: int) -> None:
        for run in runs(start, stop, out.shape[1]):
            through_sum = np.einsum("ij,ij->i", drows[run], out[run])[:, None]
            np.subtract(drows[run], through_sum, out=dx[run])
            dx[run] *= out[run]

    parts(work, len(out), out.size >= ELEMENTS)
    return (dx.reshape(dout.shape),)


def residual_forward(x: Array, branch: Array) -> tuple[Array, Cache]:
    """x + branch, both of one shape; see layers/residual.py."""
    if x.shape != branch.shape:
        raise ValueError(
            f"residual adds arrays of one shape; got x {x.shape} and branch {branch.shape}"
        )
    check_real(x, branch)
    return add(x, branch), None


def add(a: Array, b: Array, out: Array | None = None) -> Array:
    """a + b of one shape, into `out` if given; on all threads when large."""
    if out is None:
        out = np.empty(a.shape, np.result_type(a, b))
    if a.ndim == 0 or a.size < ELEMENTS:
        np.add(a, b, out=out)
        return out
    result = out
    parts(lambda i, j: _add_rows_between(a, b, result, i, j), len(a) if len(a) > 1 else 1)
    return out


def _add_rows_between(a: Array, b: Array, out: Array, start: int, stop: int) -> None:
    np.add(a[start:stop], b[start:stop], out=out[start:stop])


def keep_bits(
    shape: tuple[int, ...], rate: float, rng: UniformSource | None
) -> Array:
    """Draw which numbers dropout keeps, as uint8 bits over the flattened shape.

    The same draws, in the same order, as layers.dropout.dropout_mask.
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"dropout rate {rate} is outside [0, 1); 0 drops nothing")
    if rng is None:
        raise ValueError(f"dropout at rate {rate} draws random numbers: pass rng=")
    return np.packbits(rng.random(shape) < 1.0 - rate)


def dropout_forward(
    x: Array, *, rate: float, rng: UniformSource | None = None
) -> tuple[Array, Cache]:
    """Drop each number of x with probability `rate`; see layers/dropout.py."""
    if rate == 0.0:
        return x, None
    check_real(x)
    bits = keep_bits(x.shape, rate, rng)
    return _masked(x, bits, rate), (bits, rate)


def dropout_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx, same shape as dout."""
    if cache is None:
        return (dout,)
    bits, rate = cache
    return (_masked(dout, bits, rate),)


def _masked(x: Array, bits: Array, rate: float) -> Array:
    out = np.empty(x.shape, x.dtype)
    flat_x, flat_out = np.ravel(x), out.reshape(-1)
    gain = 1.0 / (1.0 - rate)

    def work(start: int, stop: int) -> None:
        scratch = np.empty(min(stop - start, run_length(1)), x.dtype)
        # starts are multiples of 8, so that a run begins with a whole byte of bits
        for run in runs(start, stop, 1):
            count = run.stop - run.start
            kept = np.unpackbits(bits[run.start // 8:-(-run.stop // 8)], count=count)
            factor = np.multiply(kept, gain, out=scratch[:count], casting="unsafe")
            np.multiply(flat_x[run], factor, out=flat_out[run])

    parts(work, x.size, x.size >= ELEMENTS, align=8)
    return out


class Rows(SparseGradient):
    """The gradient of a table (V, C): rows to be added at ids, and zeros elsewhere.

    Where the head has made a table of gradients already, the rows are added to that, instead of to
    a second table of mostly zeros.
    """

    def __init__(self, shape: tuple[int, ...], ids: Array, rows: Array) -> None:
        self.shape, self.dtype, self.ids, self.rows = shape, rows.dtype, ids, rows

    def add_to(self, array: Array) -> None:
        """array[ids[n]] += rows[n] for every n, in place."""
        add_rows(array, self.ids, self.rows)


def token_embedding_backward(dout: Array, cache: Cache) -> tuple[None, Rows]:
    """Give (None, dweight): ids are integers and have no gradient; dweight (V, C) as rows."""
    ids, table_shape = cache
    return None, Rows(table_shape, ids, dout)


def position_embedding_backward(dout: Array, cache: Cache) -> tuple[Array, Array, None]:
    """Give (dx, dweight, None): dx same shape as dout, dweight (P, C)."""
    positions, table_shape = cache
    check_real(dout)
    dtable = np.zeros(table_shape, dout.dtype)
    if positions.ndim == 1 and np.all(positions[1:] > positions[:-1]):
        # every position once, as in training: a sum over the batch is all there is
        batch = dout.reshape(math.prod(dout.shape[:-2]), *dout.shape[-2:])
        dtable[positions] = batch.sum(axis=0)
    else:
        add_rows(dtable, np.broadcast_to(positions, dout.shape[:-1]), dout)
    return dout, dtable, None


def add_rows(table: Array, ids: Array, rows: Array) -> None:
    """table[ids[n]] += rows[n] for every n, in place; ids (...), rows (..., C)."""
    if ids.size == 0:
        return
    flat = as_rows(rows)                                        # (N, C)
    order = np.argsort(ids, axis=None, kind="stable")           # (N,)
    sorted_ids = ids.reshape(-1)[order]
    starts = np.flatnonzero(np.concatenate(([True], sorted_ids[1:] != sorted_ids[:-1])))
    table[sorted_ids[starts]] += np.add.reduceat(flat[order], starts, axis=0)
