"""Zeros behind a vector: the part of a bias that is never trained.

Forward    out = x, and then zeros up to `size`
Backward   dx  = the first numbers of dout: the zeros are no input

With frozen biases the values' third of the bias of q, k and v is such a run of zeros.

Shapes     x (N,)    out (size,)    N <= size
Kept       N
Source     the biases of Jha, Reagen 2024, arXiv 2410.09637, as in their public code
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache


def pad_zeros_forward(x: Array, *, size: int) -> tuple[Array, Cache]:
    """x (N,) and size - N zeros behind it, (size,)."""
    if x.ndim != 1 or len(x) > size:
        raise ValueError(f"pad_zeros makes a vector of {size} numbers; got shape {x.shape}")
    out = np.zeros(size, x.dtype)
    out[:len(x)] = x
    return out, len(x)


def pad_zeros_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx (N,) from dout (size,)."""
    count = cache
    return (dout[:count].copy(),)
