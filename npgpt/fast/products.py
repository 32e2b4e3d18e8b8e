"""Matrix products, cut over our own threads; the linear layer, and the way out to the vocabulary.

A product large enough is cut along the longer side of its result and every thread computes its
piece with BLAS held to one thread. On a quiet machine BLAS's own threads are 1 to 6 % quicker; on a
busy one far slower, because their pieces wait in a spin for each other.

Textbook   npgpt.layers.linear, npgpt.layers.embedding
"""

from __future__ import annotations

import numpy as np

from ..layers.contract import Array, Cache, check_linear, check_unembedding
from ..machine.threads import PRODUCT, each, get_threads, in_worker
from .blocks import as_rows, of_one_type

# a piece thinner than this wastes the kernels of BLAS
_THINNEST = 32


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """a (M, K) @ b (K, N) into out (M, N)."""
    m, k = a.shape
    n = b.shape[1]
    if out is None:
        out = np.empty((m, n), np.result_type(a, b))
    if in_worker() or m * k * n < PRODUCT or max(m, n) < 2 * _THINNEST:
        np.matmul(a, b, out=out)
        return out
    pieces = [(a, b, out)]
    products(pieces)
    return out


def products(jobs: list[tuple[Array, Array, Array]]) -> None:
    """Several products at once: each (a, b, out) is out = a @ b; one hand-over for all of them."""
    if in_worker() or get_threads() == 1:
        for a, b, out in jobs:
            np.matmul(a, b, out=out)
        return
    work = sum(a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in jobs)
    n = get_threads()

    def piece(i: int) -> None:
        for a, b, out in jobs:
            rows, columns = out.shape
            if rows >= columns:
                run = _run(rows, i, n)
                np.matmul(a[run], b, out=out[run])
            else:
                run = _run(columns, i, n)
                np.matmul(a, b[:, run], out=out[:, run])

    if work < PRODUCT:
        for a, b, out in jobs:
            np.matmul(a, b, out=out)
    else:
        each(piece, n)


def _run(length: int, i: int, n: int) -> slice:
    # whole vectors of 16 numbers for everyone but the last
    units = length // 16
    start = units * i // n * 16
    stop = length if i == n - 1 else units * (i + 1) // n * 16
    return slice(start, stop)


def column_sums(x: Array) -> Array:
    """The sum over the rows of x (N, C): (C,), as a product with ones, not a slow reduction."""
    return np.ones(x.shape[0], x.dtype) @ x


def linear_forward(x: Array, weight: Array, bias: Array | None) -> tuple[Array, Cache]:
    """x (..., I) @ weight (I, O) + bias (O,); see layers/linear.py."""
    check_linear(x, weight, bias)
    x, weight, bias = of_one_type(x, weight, bias)
    rows = as_rows(x)                                           # (N, I)
    out = product(rows, weight)                                 # (N, O)
    if bias is not None:
        out += bias
    return out.reshape(*x.shape[:-1], weight.shape[1]), (x.shape, rows, weight, bias is not None)


def linear_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array | None]:
    """Give (dx, dweight, dbias): dx (..., I), dweight (I, O), dbias (O,) or None."""
    shape, rows, weight, has_bias = cache
    drows = as_rows(dout)                                       # (N, O)
    dx, dweight = linear_gradients(drows, rows, weight)
    dbias = column_sums(drows) if has_bias else None
    return dx.reshape(shape), dweight, dbias


def linear_gradients(dout: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """(dx, dweight) of out = x @ weight, all of them rows: dx (N, I), dweight (I, O)."""
    dx = np.empty(x.shape, dout.dtype)
    dweight = np.empty(weight.shape, dout.dtype)
    products([(dout, weight.T, dx), (x.T, dout, dweight)])
    return dx, dweight


def unembedding_forward(x: Array, weight: Array) -> tuple[Array, Cache]:
    """Score every token: x (..., C) @ weight.T, weight (V, C); see layers/embedding.py."""
    check_unembedding(x, weight)
    x, weight = of_one_type(x, weight)
    rows = as_rows(x)                                           # (N, C)
    out = product(rows, weight.T)                               # (N, V)
    return out.reshape(*x.shape[:-1], weight.shape[0]), (x.shape, rows, weight)


def unembedding_backward(dout: Array, cache: Cache) -> tuple[Array, Array]:
    """Give (dx, dweight): dx (..., C), dweight (V, C)."""
    shape, rows, weight = cache
    drows = as_rows(dout)                                       # (N, V)
    dx, dweight = unembedding_gradients(drows, rows, weight)
    return dx.reshape(shape), dweight


def unembedding_gradients(dout: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """(dx, dweight) of out = x @ weight.T, all of them rows: dx (N, C), dweight (V, C)."""
    dx = np.empty(x.shape, dout.dtype)
    dweight = np.empty(weight.shape, dout.dtype)
    products([(dout, weight, dx), (dout.T, x, dweight)])
    return dx, dweight
