"""Ops for a few tokens at a time: each weight comes from memory once, and serves all of them.

For one token the work of a model is reading its weights: 498 MB for GPT-2's 124M. A single token
of plain weights is left to BLAS, on one thread for a small model or a busy machine
(fast_reader.py), else with threads of its own: they spin while they wait for work, where a
sleeping Python thread takes a tenth of a millisecond to wake, 49 times a token. Measured: 20 to
22 ms a token instead of 30.
For several tokens a matmul takes contiguous rows of the weight, an equal run of them on each of our
threads, and adds up the threads' sums. The rows come in tiles that stay in cache, small enough for
BLAS's kernels that do not copy their operands first: that copy is what makes a matmul of 2 rows
cost 2.6 times one of 1. Measured on two cores, 124M, a chunk of 2 tokens takes 1.7 times as long
as one token, 4 tokens 1.9, 8 tokens 2.2; in int8 1.5, 1.6 and 2.1 (`python -m benchmarks.decode`).
For that BLAS's threads must not spin for long: see npgpt.machine.

Int8 weights (quantized.py) are widened tile by tile, in cache, and scaled after the sum. More than
FEW tokens go to the fast ops, and so does training: only the inference of an op is exchanged here.

Textbook   npgpt.ops
"""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Callable

import numpy as np
from numpy.typing import DTypeLike

from ..fast.activations import activate
from ..fast.feed_forward import kernels_of
from ..fast.ops import FAST
from ..fast.silu import SILU
from ..machine.threads import THRESHOLDS, each, get_threads, parts
from ..tape import Array, Op
from .quantized import Int8, Weight

# up to so many tokens at once are streamed
FEW = 24
# weights in a tile for one token: they and what they were widened from stay in cache (124M in
# int8: 34.7 ms a token with 2**17, 32.7 with this, 33.6 with 2**18)
TILE = 196608
# for several: weights, rows of linear weights, rows of a table, and tokens times weights; up to
# here BLAS takes its kernels without a copy, and they do well
SHARED_TILE = 98304
TILE_ROWS = 64
TABLE_ROWS = 512
TILE_WORK = 786432
# bytes of a cache line
LINE = 64

_local = threading.local()


def token_embedding(ids: Array, table: Weight) -> Array:
    """The table's rows of ids (...): (..., C)."""
    return table.take(ids) if isinstance(table, Int8) else table[ids]


def layernorm(x: Array, weight: Array, bias: Array, *, eps: float) -> Array:
    """LayerNorm of x (..., C) with weight and bias (C,)."""
    width = x.shape[-1]
    out: Array = x - np.add.reduce(x, axis=-1, keepdims=True) / width
    variance = np.add.reduce(out * out, axis=-1, keepdims=True) / width
    out /= np.sqrt(variance + eps)
    out *= weight
    out += bias
    return out


def linear(x: Array, weight: Weight, bias: Array | None) -> Array:
    """x (..., I) @ weight (I, O) + bias (O,): (..., O)."""
    out = linear_matmul(x.reshape(-1, x.shape[-1]), weight)
    if bias is not None:
        out += bias
    return out.reshape(*x.shape[:-1], out.shape[1])


def unembedding(x: Array, table: Weight) -> Array:
    """Score every token: x (..., C) @ table (V, C).T gives (..., V)."""
    out = table_matmul(x.reshape(-1, x.shape[-1]), table)
    return out.reshape(*x.shape[:-1], out.shape[1])


def feed_forward(
    x: Array, fc_weight: Weight, fc_bias: Array | None, proj_weight: Weight,
    proj_bias: Array | None, *slope: Array, activation: str,
) -> Array:
    """Two linear maps with an activation between, x (..., C); leaky_relu takes its slope (1,)."""
    hidden = linear(x, fc_weight, fc_bias)
    return linear(activate(kernels_of(activation, slope), hidden), proj_weight, proj_bias)


def swiglu(
    x: Array, gate_weight: Weight, gate_bias: Array | None, fc_weight: Weight,
    fc_bias: Array | None, proj_weight: Weight, proj_bias: Array | None,
) -> Array:
    """The gated feed-forward network: silu(gate) * fc of x (..., C), projected back."""
    hidden = activate(SILU, linear(x, gate_weight, gate_bias))
    hidden *= linear(x, fc_weight, fc_bias)
    return linear(hidden, proj_weight, proj_bias)


def causal_attention(q: Array, k: Array, v: Array) -> Array:
    """Attend from q (R, H, T, D), the last T of S positions, to k and v (R, H, S, D)."""
    rows, n_head, count, size = q.shape
    if rows * count > FEW:
        attended: Array = FAST.causal_attention(q, k, v)
        return attended
    out = np.empty(q.shape, q.dtype)

    def work(start: int, stop: int) -> None:
        heads = slice(start, stop)
        scores = (q[:, heads] * (1.0 / math.sqrt(size))) @ k[:, heads].swapaxes(2, 3)
        if count > 1:
            # minus infinity where the key lies ahead of the query
            scores[..., -count:] += np.triu(np.full((count, count), -np.inf, q.dtype), 1)
        scores -= scores.max(axis=-1, keepdims=True)            # (R, h, T, S)
        np.exp(scores, out=scores)
        sums = scores.sum(axis=-1, keepdims=True)
        np.divide(scores @ v[:, heads], sums, out=out[:, heads])

    parts(work, n_head, k.size >= THRESHOLDS.keys)
    return out


def _for_few(op: Op, few: Callable[..., Array] | None) -> Op:
    """`op`, but for up to FEW tokens x (..., C) inference is `few`, which takes int8 weights.

    For more, and without a `few`, int8 weights are widened first.
    """

    def inference(x: Array, *weights: Weight | None, **settings: object) -> Array:
        if few is not None and x.size <= FEW * x.shape[-1]:
            return few(x, *weights, **settings)
        plain = (w.widened() if isinstance(w, Int8) else w for w in weights)
        out: Array = op(x, *plain, **settings)
        return out

    return replace(op, inference=inference)


STREAMED = replace(
    FAST,
    token_embedding=replace(FAST.token_embedding, inference=token_embedding),
    layernorm=_for_few(FAST.layernorm, layernorm),
    residual=_for_few(FAST.residual, np.add),
    linear=_for_few(FAST.linear, linear),
    unembedding=_for_few(FAST.unembedding, unembedding),
    feed_forward=_for_few(FAST.feed_forward, feed_forward),
    swiglu=_for_few(FAST.swiglu, swiglu),
    linear_cross_entropy=_for_few(FAST.linear_cross_entropy, None),
    causal_attention=replace(FAST.causal_attention, inference=causal_attention),
)


def linear_matmul(x: Array, weight: Weight) -> Array:
    """x (N, I) @ weight (I, O), for a few rows: (N, O)."""
    if len(x) == 1 and not isinstance(weight, Int8):
        only: Array = np.dot(x, weight)
        return only
    values = weight.values if isinstance(weight, Int8) else weight
    n = _pieces(values, len(x))
    sums = np.empty((n, len(x), values.shape[1]), x.dtype)
    out: Array = sums[0]

    def work(i: int) -> None:
        run = slice(len(values) * i // n, len(values) * (i + 1) // n)
        _add_up(x[:, run], values[run], sums[i])

    each(work, n)
    for more in sums[1:]:
        out += more
    if isinstance(weight, Int8):
        out *= weight.scale
    return out


def table_matmul(x: Array, table: Weight) -> Array:
    """x (N, C) @ table (V, C).T, for a few rows: (N, V)."""
    if len(x) == 1 and not isinstance(table, Int8):
        scores: Array = np.dot(table, x[0])[None]
        return scores
    values = table.values if isinstance(table, Int8) else table
    n = _pieces(values, len(x))
    out = np.empty((len(values), len(x)), x.dtype)              # (V, N): tiles are rows of it
    columns = x.T

    def work(i: int) -> None:
        start, stop = len(values) * i // n, len(values) * (i + 1) // n
        step = _tile_rows(len(x), values.shape[1], TABLE_ROWS)
        for first in range(start, stop, step):
            run = slice(first, min(first + step, stop))
            np.dot(_ready(values[run], x.dtype), columns, out=out[run])

    each(work, n)
    if isinstance(table, Int8):
        out *= table.scale
    return np.ascontiguousarray(out.T)


def _pieces(values: Array, tokens: int) -> int:
    # one for each thread if that pays, and none of them empty
    pays = values.size * tokens >= THRESHOLDS.stream
    return max(1, min(get_threads(), len(values))) if pays else 1


def _add_up(x: Array, values: Array, out: Array) -> None:
    """out = x (N, I) @ values (I, O), by tiles of rows of the values."""
    width = values.shape[1]
    step = _tile_rows(len(x), width, min(TILE_ROWS, SHARED_TILE // width))
    part = np.empty_like(out)
    for start in range(0, len(values), step):
        tile = _ready(values[start:start + step], x.dtype)
        if start == 0:
            np.dot(x[:, :step], tile, out=out)
        else:
            np.dot(x[:, start:start + step], tile, out=part)
            out += part


def _tile_rows(n: int, width: int, most: int) -> int:
    """Rows of a tile for n tokens and rows of `width` weights: for several tokens, `most`."""
    rows = TILE // width if n == 1 else min(most, TILE_WORK // max(1, n * width))
    return max(1, rows)


def _ready(tile: Array, dtype: DTypeLike) -> Array:
    """A tile in the type of the computation, in this thread's own scratch if it must be widened."""
    if tile.dtype == dtype:
        return tile
    wide = _scratch(tile.size, dtype).reshape(tile.shape)
    np.copyto(wide, tile)
    return wide


def _scratch(size: int, dtype: DTypeLike) -> Array:
    """`size` elements of this thread's own, which begin with a cache line."""
    room = getattr(_local, "room", None)
    wanted = size * np.dtype(dtype).itemsize
    if room is None or room.size < wanted:
        raw = np.empty(wanted + LINE, np.uint8)
        start = -raw.ctypes.data % LINE
        room = _local.room = raw[start:start + wanted]
    numbers: Array = room[:wanted].view(dtype)
    return numbers
