"""What the activations have in common: two kernels on a block, and how an op runs over an array.

Every activation is a pair of kernels on one block, so that the feed-forward network can run them
between its two matmuls without another pass over memory:

    forward_into(x, out, scratch)                        out = act(x)
    forward_and_slope_into(x, out, slope, scratch)       out = act(x) and slope = act'(x)

The slope is all that backward needs, and most of what it takes has been computed for act(x): both
together cost half as much as one after the other.
"""

from __future__ import annotations

from typing import Callable, NamedTuple

import numpy as np

from ..layers.contract import Array
from .blocks import check_real, in_runs


class Kernels(NamedTuple):
    """One activation on a block; scratch (3, *block) may be used freely, and slope may be x."""

    forward_into: Callable[[Array, Array, Array], None]
    forward_and_slope_into: Callable[[Array, Array, Array, Array], None]


def activate(kernels: Kernels, x: Array) -> Array:
    """act(x), in an array of its own. Raises TypeError unless x is float32 or float64."""
    check_real(x)
    out = np.empty(x.shape, x.dtype)
    flat_x, flat_out = np.ravel(x), out.reshape(-1)

    def work(run: slice, scratch: Array) -> None:
        kernels.forward_into(flat_x[run], flat_out[run], scratch)

    in_runs(work, flat_x, 3)
    return out


def times_slope(kernels: Kernels, dout: Array, x: Array) -> Array:
    """dout * act'(x), in an array of its own: dx."""
    dx = np.empty(x.shape, x.dtype)
    flat_x, flat_dout, flat_dx = np.ravel(x), np.ravel(dout), dx.reshape(-1)

    def work(run: slice, scratch: Array) -> None:
        kernels.forward_and_slope_into(flat_x[run], scratch[3], flat_dx[run], scratch[:3])
        flat_dx[run] *= flat_dout[run]

    in_runs(work, flat_x, 4)
    return dx
