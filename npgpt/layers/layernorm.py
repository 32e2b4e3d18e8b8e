"""LayerNorm: give every position mean 0 and variance 1 over its channels, then rescale.

Forward    xhat = (x - mean) * rstd        rstd = 1 / sqrt(var + eps), var biased (divide by C)
           out  = xhat * weight + bias
Backward   dxhat = dout * weight
           dx    = rstd * (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat))
           the two means are the paths of x through the mean and through the variance
           dweight = sum over positions of dout * xhat        dbias = sum over positions of dout

Shapes     x, out (..., C)    weight, bias (C,)    rstd (..., 1)
Saved for backward   xhat, rstd, weight; x itself is not needed again
Source     Ba, Kiros, Hinton 2016, arXiv 1607.06450, eq. 3
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache, check_shapes


def check_layernorm(x: Array, weight: Array, bias: Array) -> None:
    """Raise ValueError unless weight and bias are (C,), with C the last axis of x."""
    check_shapes(x.shape[-1:] == weight.shape == bias.shape,
                 "layernorm expects x (..., C), weight (C,) and bias (C,)",
                 x=x, weight=weight, bias=bias)


def layernorm_forward(
    x: Array, weight: Array, bias: Array, *, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalise x (..., C) over its channels, then scale by weight (C,) and shift by bias (C,).

    Gives (..., C). Raises ValueError as `check_layernorm`.
    """
    check_layernorm(x, weight, bias)
    centred = x - x.mean(axis=-1, keepdims=True)                # (..., C)
    # not np.var: it takes |x|^2 of complex numbers, which no complex step can pass
    var = (centred * centred).mean(axis=-1, keepdims=True)      # (..., 1)
    rstd = 1.0 / np.sqrt(var + eps)                             # (..., 1)
    xhat = centred * rstd                                       # (..., C)
    out = xhat * weight + bias                                  # (..., C)
    return out, (xhat, rstd, weight)


def layernorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Give (dx, dweight, dbias): dx (..., C), dweight and dbias (C,)."""
    xhat, rstd, weight = cache
    positions = tuple(range(dout.ndim - 1))

    dbias = dout.sum(axis=positions)                            # (C,)
    dweight = (dout * xhat).sum(axis=positions)                 # (C,)
    dxhat = dout * weight                                       # (..., C)
    through_mean = dxhat.mean(axis=-1, keepdims=True)           # (..., 1)
    through_var = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
    dx = rstd * (dxhat - through_mean - through_var)            # (..., C)
    return dx, dweight, dbias
