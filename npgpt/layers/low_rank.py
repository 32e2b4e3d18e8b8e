"""Low-rank updates (LoRA): a weight moves by the product of two thin matrices, A and B.

Update     out = weight + scale * A @ B         the weight multiplied out, for inference
           dweight = dout     dA = scale * dout @ B.T     dB = scale * A.T @ dout
Applied    out = scale * (x @ A) @ B            beside x @ weight, which stays as it is
           h  = x @ A                           (..., r): all that passes is r numbers a position
           dh = scale * dout @ B.T
           dx = dh @ A.T     dA = x.T @ dh     dB = scale * h.T @ dout     positions as rows

Both give the same, x @ (weight + scale * A @ B). Applied, no array of the weight's size is made: a
frozen weight has no gradient, and A and B have r * (I + O) elements instead of I * O.

Shapes     weight (I, O)    A (I, r)    B (r, O)    x (..., I)    scale a number, alpha / r
Saved for backward   A and B; applied: x and h too
Source     Hu et al. 2021, arXiv 2106.09685, section 4.1
"""

from __future__ import annotations

from .contract import Array, Cache, check_shapes
from .linear import as_rows


def low_rank_update_forward(
    weight: Array, a: Array, b: Array, *, scale: float = 1.0
) -> tuple[Array, Cache]:
    """weight (I, O) + scale * a (I, r) @ b (r, O) gives (I, O). Raises ValueError for others."""
    check_shapes(a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0]
                 and weight.shape == (a.shape[0], b.shape[1]),
                 "low_rank_update expects weight (I, O), a (I, r) and b (r, O)",
                 weight=weight, a=a, b=b)
    return weight + (scale * a) @ b, (a, b, scale)


def low_rank_update_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Give (dweight, da, db): dweight (I, O), da (I, r), db (r, O)."""
    a, b, scale = cache
    return dout, scale * (dout @ b.T), scale * (a.T @ dout)


def low_rank_forward(
    x: Array, a: Array, b: Array, *, scale: float = 1.0
) -> tuple[Array, Cache]:
    """scale * (x (..., I) @ a (I, r)) @ b (r, O) gives (..., O). Raises ValueError for others."""
    check_shapes(a.ndim == b.ndim == 2 and x.shape[-1:] == a.shape[:1]
                 and a.shape[1] == b.shape[0],
                 "low_rank expects x (..., I), a (I, r) and b (r, O)", x=x, a=a, b=b)
    h = x @ a                                                   # (..., r)
    return (scale * h) @ b, (x, h, a, b, scale)


def low_rank_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Give (dx, da, db): dx (..., I), da (I, r), db (r, O)."""
    x, h, a, b, scale = cache
    dh = scale * (dout @ b.T)                                   # (..., r)
    dx = dh @ a.T                                               # (..., I)
    da = as_rows(x).T @ as_rows(dh)                             # (I, r)
    db = scale * (as_rows(h).T @ as_rows(dout))                 # (r, O)
    return dx, da, db
