"""Zeros behind a vector: the part of a bias that is never trained.

Forward    out = x, and then zeros up to `size`
Backward   dx  = the first N elements of dout: the zeros are not an input

With frozen biases the values' third of the bias of q, k and v is such a run of zeros.

Shapes     x (N,)    out (size,)    N <= size
Saved for backward   N
Source     the biases of Jha, Reagen 2024, arXiv 2410.09637, as in their public code
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache, check_shapes


def pad_zeros_forward(x: Array, *, size: int) -> tuple[Array, Cache]:
    """x (N,) and size - N zeros behind it: (size,). Raises ValueError unless N <= size."""
    check_shapes(x.ndim == 1 and len(x) <= size,
                 f"pad_zeros expects x (N,) with N <= size={size}", x=x)
    out = np.zeros(size, x.dtype)
    out[:len(x)] = x
    return out, len(x)


def pad_zeros_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx (N,) from dout (size,)."""
    count = cache
    return (dout[:count].copy(),)
