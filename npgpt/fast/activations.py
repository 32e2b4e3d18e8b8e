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
from ..machine.threads import ELEMENTS, parts
from .blocks import check_real, run_length, runs


class Kernels(NamedTuple):
    """One activation on a block; scratch (3, *block) may be used freely, and slope may be x."""

    forward_into: Callable[[Array, Array, Array], None]
    forward_and_slope_into: Callable[[Array, Array, Array, Array], None]


def activate(kernels: Kernels, x: Array) -> Array:
    """act(x), in an array of its own. Raises TypeError unless x is float32 or float64."""
    check_real(x)
    out = np.empty(x.shape, x.dtype)
    flat_x, flat_out = np.ravel(x), out.reshape(-1)

    def work(start: int, stop: int) -> None:
        scratch = np.empty((3, min(stop - start, run_length(1))), x.dtype)
        for run in runs(start, stop, 1):
            kernels.forward_into(flat_x[run], flat_out[run], scratch[:, :run.stop - run.start])

    parts(work, x.size, x.size >= ELEMENTS)
    return out


def times_slope(kernels: Kernels, dout: Array, x: Array) -> Array:
    """dout * act'(x), in an array of its own: dx."""
    dx = np.empty(x.shape, x.dtype)
    flat_x, flat_dout, flat_dx = np.ravel(x), np.ravel(dout), dx.reshape(-1)

    def work(start: int, stop: int) -> None:
        scratch = np.empty((4, min(stop - start, run_length(1))), x.dtype)
        for run in runs(start, stop, 1):
            free = scratch[:, :run.stop - run.start]
            kernels.forward_and_slope_into(flat_x[run], free[3], flat_dx[run], free[:3])
            flat_dx[run] *= flat_dout[run]

    parts(work, x.size, x.size >= ELEMENTS)
    return dx
