"""GELU: weight x by the probability that a standard normal variable lies below x.

Exact      out = x * Phi(x)
           dx  = dout * (Phi(x) + x * pdf(x))

Tanh form  out   = x * (1 + tanh(inner)) / 2
           inner = sqrt(2/pi) * (x + 0.044715 * x^3)
Backward   dinner = sqrt(2/pi) * (1 + 3 * 0.044715 * x^2)
           dx     = dout * ((1 + t) / 2  +  x * (1 - t^2) / 2 * dinner)      t = tanh(inner)
           the first term is the path through the factor x, the second the path through tanh

The tanh form is the one that GPT-2's weights were trained with ("gelu_new"). The two differ by at
most 4.7e-4, near |x| = 2.7.

Shapes     x, out any shape, element by element
Saved for backward   tanh form: x and t; exact form: x and Phi(x)
Source     Hendrycks, Gimpel 2016, arXiv 1606.08415, section 2
"""

from __future__ import annotations

import math

import numpy as np

from .contract import Array, Cache
from .erf import normal_cdf, normal_pdf

SCALE = math.sqrt(2.0 / math.pi)
CUBIC = 0.044715


def gelu_forward(x: Array) -> tuple[Array, Cache]:
    """GELU in its tanh form, element by element; GPT-2's activation."""
    # x * x * x: NumPy's x**3 calls pow and takes 60 times as long
    inner = SCALE * (x + CUBIC * (x * x * x))
    t = np.tanh(inner)
    out = 0.5 * x * (1.0 + t)
    return out, (x, t)


def gelu_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx of the tanh form, same shape as dout."""
    x, t = cache
    dinner = SCALE * (1.0 + 3.0 * CUBIC * (x * x))
    through_factor = 0.5 * (1.0 + t)
    # 1 - t^2 and not 1/cosh^2: cosh overflows for large x
    through_tanh = 0.5 * x * (1.0 - t * t) * dinner
    dx = dout * (through_factor + through_tanh)
    return (dx,)


def gelu_exact_forward(x: Array) -> tuple[Array, Cache]:
    """GELU in its exact form x * Phi(x), element by element."""
    phi = normal_cdf(x)
    out = x * phi
    return out, (x, phi)


def gelu_exact_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx of the exact form, same shape as dout."""
    x, phi = cache
    through_phi = x * normal_pdf(x)
    dx = dout * (phi + through_phi)
    return (dx,)
