"""ReLU and leaky ReLU: pass what is positive; pass nothing of the rest, or a small part.

ReLU       out = x where x > 0, else 0
           dx  = dout where x > 0, else 0
Leaky      out = x where x > 0, else slope * x
           dx     = dout where x > 0, else slope * dout
           dslope = sum over all x <= 0 of dout * x

At x = 0 the left derivative is taken: the slope, or 0.

Shapes     x, out any shape; slope (1,), one learnable number
Saved for backward   where x > 0; the leaky form also x and slope
Source     Nair, Hinton 2010 (ReLU); Maas, Hannun, Ng 2013 (leaky); He et al. 2015,
           arXiv 1502.01852 (learned slope)
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache, check_shapes


def check_leaky_relu(x: Array, slope: Array) -> None:
    """Raise ValueError unless slope is (1,)."""
    check_shapes(slope.shape == (1,), "leaky_relu expects x (...) and slope (1,)",
                 x=x, slope=slope)


def relu_forward(x: Array) -> tuple[Array, Cache]:
    """max(x, 0), element by element."""
    positive = x.real > 0
    out = np.where(positive, x, 0)
    return out, positive


def relu_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx, same shape as dout."""
    positive = cache
    dx = np.where(positive, dout, 0)
    return (dx,)


def leaky_relu_forward(x: Array, slope: Array) -> tuple[Array, Cache]:
    """x where positive, slope * x elsewhere; slope (1,) can be learned.

    Gives an array of x's shape. Raises ValueError as `check_leaky_relu`.
    """
    check_leaky_relu(x, slope)
    positive = x.real > 0
    out = np.where(positive, x, slope * x)
    return out, (x, slope, positive)


def leaky_relu_backward(dout: Array, cache: Cache) -> tuple[Array, Array]:
    """Give (dx, dslope): dx same shape as dout, dslope (1,)."""
    x, slope, positive = cache
    dx = np.where(positive, dout, slope * dout)
    dslope = np.where(positive, 0, dout * x).sum().reshape(1)
    return dx, dslope
