"""Blocks: arrays as rows, cut into runs that stay in a core's cache while they are worked on.

One pass over memory costs more than the arithmetic in it. So an op that takes ten steps does all
ten on a block of elements before it goes to the next one. Small blocks cost too: two threads that
return from short NumPy calls wait for each other at the GIL.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Iterator

import numpy as np

from ..layers.contract import Array
from ..machine.threads import THRESHOLDS, parts

# elements in a block: 512 kB of float32, a few of which fit a second-level cache of 2 MB; on one
# thread 2**15 to 2**17 were equally fast, on two the longer calls win
BLOCK = 2**17


def check_real(*arrays: Array | None) -> None:
    """Raise TypeError for an array of anything but float32 and float64: kernels take no other."""
    for array in arrays:
        if array is not None and array.dtype not in (np.float32, np.float64):
            other = "; the textbook's ops take complex numbers" if array.dtype.kind == "c" else ""
            raise TypeError(f"fast ops expect float32 or float64, got {array.dtype}{other}")


def of_one_type(*arrays: Any) -> tuple[Any, ...]:
    """The arrays in the wider of their types, as NumPy's own operators give it; None stays None.

    Most often they have one type: then they are given back as they are. Raises as `check_real`.
    """
    check_real(*arrays)
    dtypes = {array.dtype for array in arrays if array is not None}
    if len(dtypes) < 2:
        return arrays
    wide = np.result_type(*dtypes)
    return tuple(None if array is None else array.astype(wide, copy=False) for array in arrays)


def as_rows(x: Array) -> Array:
    """x (..., C) as contiguous rows (N, C); a copy only where x is not contiguous."""
    return np.ascontiguousarray(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])


def runs(start: int, stop: int, width: int, block: int = BLOCK) -> Iterator[slice]:
    """Cut rows start .. stop, each of `width` elements, into slices of about `block` elements."""
    step = run_length(width, block)
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


def in_runs(
    work: Callable[[slice, Array], None], like: Array, scratches: int = 0, align: int = 1
) -> None:
    """Call work(run, scratch) for runs that cover the rows of `like`, on all threads where it pays.

    scratch (scratches, rows of the run, ...) has the shape of those rows, and may be used freely.
    Threads start at multiples of `align` rows.
    """
    width = math.prod(like.shape[1:])

    def part(start: int, stop: int) -> None:
        rows = min(stop - start, run_length(width))
        scratch = np.empty((scratches, rows, *like.shape[1:]), like.dtype)
        for run in runs(start, stop, width):
            work(run, scratch[:, :run.stop - run.start])

    parts(part, len(like), like.size >= THRESHOLDS.elements, align)


def run_length(width: int, block: int = BLOCK) -> int:
    """How many rows `runs` puts into a slice: the size of scratch arrays."""
    return max(1, block // max(1, width))
