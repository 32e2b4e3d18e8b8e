"""Residual connection: a branch adds to the stream and does not replace it.

Forward    out = x + branch
Backward   dx = dout        dbranch = dout
           the sum hands the same gradient to both: this is the short way back to early layers

Shapes     x, branch, out (..., C), all the same
Saved for backward   nothing
Source     He et al. 2015, arXiv 1512.03385
"""

from __future__ import annotations

from .contract import Array, Cache, check_shapes


def residual_forward(x: Array, branch: Array) -> tuple[Array, Cache]:
    """x + branch, both of one shape. Raises ValueError for two shapes: nothing is broadcast."""
    check_shapes(x.shape == branch.shape, "residual expects x and branch of one shape",
                 x=x, branch=branch)
    return x + branch, None


def residual_backward(dout: Array, cache: Cache) -> tuple[Array, Array]:
    """Give (dx, dbranch), both dout itself: whoever adds to one must not write into it."""
    return dout, dout
