"""Identity: no activation, so that the feed-forward network is two linear maps in a row.

Forward    out = x
Backward   dx  = dout

Shapes     x, out any shape
Saved for backward   nothing
Source     the linear network of Jha, Reagen 2024, arXiv 2410.09637
"""

from __future__ import annotations

from .contract import Array, Cache


def identity_forward(x: Array) -> tuple[Array, Cache]:
    """x itself."""
    return x, None


def identity_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx, which is dout."""
    return (dout,)
