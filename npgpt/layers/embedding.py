"""Embeddings: a row of a table for each token, a row of another added for each position; and
the way back from channels to one score per token of the vocabulary.

Token        out = weight[ids]
             dweight[ids[n]] += dout[n] for every position n: a token that occurs twice gets both
Position     out = x + weight[positions]
             dx = dout        dweight as for tokens, summed over the batch
Unembedding  out = x @ weight.T, the score of each token: how well x points along its row
             dx = dout @ weight        dweight = dout.T @ x, positions as rows

Shapes     ids (...) integers    token weight (V, C)    position weight (P, C), positions (T,) or
           the shape of x without C    x (..., T, C)    scores (..., V)
Saved for backward   ids or positions, and the table's shape; unembedding: x and weight
Source     Press, Wolf 2017, arXiv 1608.05859 (one table for both ends)
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache, check_shapes
from .linear import as_rows


def token_embedding_forward(ids: Array, weight: Array) -> tuple[Array, Cache]:
    """Look up ids (...) in weight (V, C): (..., C). Raises ValueError as `check_rows`."""
    check_shapes(weight.ndim == 2, "token_embedding expects weight (V, C)", weight=weight)
    check_rows(ids, weight.shape[0], "token ids")
    out = weight[ids]                                           # (..., C)
    return out, (ids, weight.shape)


def token_embedding_backward(dout: Array, cache: Cache) -> tuple[None, Array]:
    """Give (None, dweight): ids are integers and have no gradient; dweight (V, C)."""
    ids, table_shape = cache
    return None, _add_rows(table_shape, ids, dout)


def position_embedding_forward(
    x: Array, weight: Array, positions: Array
) -> tuple[Array, Cache]:
    """Add weight[positions] to x (..., T, C); weight (P, C), positions (T,) or (..., T) in [0, P).

    Gives (..., T, C). Raises ValueError for other shapes, and as `check_rows`.
    """
    check_shapes(x.shape[-1:] == weight.shape[1:] and
                 positions.shape in (x.shape[-2:-1], x.shape[:-1]),
                 "position_embedding expects x (..., T, C), weight (P, C) and positions (T,) or "
                 "(..., T)",
                 x=x, weight=weight, positions=positions)
    check_rows(positions, weight.shape[0], "positions")
    out = x + weight[positions]                                 # (..., T, C)
    return out, (positions, weight.shape)


def position_embedding_backward(dout: Array, cache: Cache) -> tuple[Array, Array, None]:
    """Give (dx, dweight, None): dx same shape as dout, dweight (P, C)."""
    positions, table_shape = cache
    everywhere = np.broadcast_to(positions, dout.shape[:-1])
    return dout, _add_rows(table_shape, everywhere, dout), None


def check_unembedding(x: Array, weight: Array) -> None:
    """Raise ValueError unless weight is (V, C), with C the last axis of x."""
    check_shapes(x.shape[-1:] == weight.shape[1:],
                 "unembedding expects x (..., C) and weight (V, C)", x=x, weight=weight)


def unembedding_forward(x: Array, weight: Array) -> tuple[Array, Cache]:
    """Score every token: x (..., C) @ weight.T with weight (V, C) gives (..., V).

    Raises ValueError as `check_unembedding`.
    """
    check_unembedding(x, weight)
    return x @ weight.T, (x, weight)


def unembedding_backward(dout: Array, cache: Cache) -> tuple[Array, Array]:
    """Give (dx, dweight): dx (..., C), dweight (V, C)."""
    x, weight = cache
    dx = dout @ weight                                          # (..., C)
    x_rows, dout_rows = as_rows(x), as_rows(dout)               # (N, C), (N, V)
    dweight = dout_rows.T @ x_rows                              # (V, C)
    return dx, dweight


def check_rows(rows: Array, count: int, what: str) -> None:
    """Raise ValueError unless rows are integers in [0, count): NumPy reads the last row for -1."""
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        outside = rows[(rows < 0) | (rows >= count)][0]
        raise ValueError(f"{what}: {outside} is outside [0, {count})")
    # an integer beyond 64 bits is a Python object: it was named above
    if rows.dtype.kind not in "iu":
        raise ValueError(f"{what}: expected integers, got {rows.dtype}")


def _add_rows(table_shape: tuple[int, int], rows: Array, dout: Array) -> Array:
    dtable = np.zeros(table_shape, dout.dtype)
    # np.add.at and not dtable[rows] += dout: that keeps only the last of repeated rows
    np.add.at(dtable, rows, dout)
    return dtable
