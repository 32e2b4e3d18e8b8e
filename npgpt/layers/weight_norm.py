"""Weight normalisation: a linear weight as a direction for every output, and a length.

Forward    out = gain * v / norm        norm = |v|, one for each output: over the inputs
Backward   direction = v / norm
           dgain = sum over inputs of dout * direction
           dv    = gain / norm * (dout - direction * dgain)
           the second term is the path through the norm: nothing is left along v itself

Where gain = |v|, out is v: that is where training starts. A column of zeros has no direction and
gives NaN.

Shapes     v, out (I, O)    gain, norm (O,)
Saved for backward   v, gain, norm
Source     Salimans, Kingma 2016, arXiv 1602.07868, eq. 2 and 3
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache, check_shapes


def column_norms(v: Array) -> Array:
    """The length of each column of v (I, O), (O,)."""
    # not np.linalg.norm: it takes the modulus of complex numbers
    norms: Array = np.sqrt((v * v).sum(axis=0))
    return norms


def weight_norm_forward(v: Array, gain: Array) -> tuple[Array, Cache]:
    """gain (O,) times the columns of v (I, O), each brought to length 1.

    Gives (I, O). Raises ValueError for other shapes.
    """
    check_shapes(v.ndim == 2 and gain.shape == v.shape[1:],
                 "weight_norm expects v (I, O) and gain (O,)", v=v, gain=gain)
    norm = column_norms(v)                                      # (O,)
    out = v * (gain / norm)                                     # (I, O)
    return out, (v, gain, norm)


def weight_norm_backward(dout: Array, cache: Cache) -> tuple[Array, Array]:
    """Give (dv, dgain): dv (I, O), dgain (O,)."""
    v, gain, norm = cache
    direction = v / norm                                        # (I, O)
    dgain = (dout * direction).sum(axis=0)                      # (O,)
    through_norm = direction * dgain                            # (I, O)
    dv = (gain / norm) * (dout - through_norm)                  # (I, O)
    return dv, dgain
