"""SiLU: weight x by its own logistic sigmoid. Also called swish; the gate of SwiGLU.

Forward    out = x * s                  s = 1 / (1 + exp(-x))
Backward   ds/dx = s * (1 - s)
           dx = dout * (s + x * s * (1 - s))
           the first term is the path through the factor x, the second through the sigmoid

Shapes     x, out any shape, element by element
Saved for backward   x and s
Source     Elfwing, Uchibe, Doya 2017, arXiv 1702.03118
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache


def silu_forward(x: Array) -> tuple[Array, Cache]:
    """x * sigmoid(x), element by element."""
    # through tanh: exp(-x) overflows for very negative x
    s = 0.5 * (1.0 + np.tanh(0.5 * x))
    out = x * s
    return out, (x, s)


def silu_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx, same shape as dout."""
    x, s = cache
    through_sigmoid = x * s * (1.0 - s)
    dx = dout * (s + through_sigmoid)
    return (dx,)
