"""When do two gradients agree? One table of tolerances, none of which grows with a tensor's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from .numeric import EPSILON, norm

WHOLE = 1e-10       # of the whole gradient's length: a complex step has 15 digits, Richardson 11
ELEMENT = 1e-8      # of an element's own sum of |dout| |d out/d x|: one wrong among a million shows
SMALL = 1e-12       # of the whole length: elements far smaller than their neighbours are rounding
FLOOR = 1e-13       # of what the gradient could have been, ||dout|| ||out|| / ||x||: rounding too
BARS = 5.0          # times the numeric error bar
NOISE = 30.0        # times what rounding was seen to move; backward's own at most MOST_NOISE
MOST_NOISE = 1e-6   # of the whole length: a backward that cancels (a saturated softmax) loses digits
BLUNT = 1e-2        # an error that could be so large and still pass: nothing is proven


@dataclass(frozen=True)
class Agreement:
    """The verdict, "right", "wrong" or "undecided"; relative error, what is allowed, which differ.
    """

    verdict: str
    error: float
    tolerance: float
    wrong: Array


def agree(
    given: Array, numeric: Array, error_bar: Array, reach: Array, scale: float,
    epsilon: float = EPSILON,
    noise: Callable[[], tuple[Array, Array]] | None = None,
) -> Agreement:
    """Compare two gradients of one shape.

    `reach` is each element's sum of |dout| |d out/d x|, `scale` the length that the gradient could
    have had, `epsilon` forward's precision. `noise`, called only in doubt, gives how far rounding
    moves the numeric gradient, which may be all that a gradient of zero is, and the given one.
    """
    # what the checker cannot measure accuses nobody, but a NaN from backward is never right
    known = np.isfinite(numeric) & np.isfinite(error_bar)
    numeric, bar, reach = (np.where(known, a, 0.0) for a in (numeric, error_bar, reach))
    gap = np.where(np.isfinite(given), np.abs(given - numeric), np.inf)
    gap = np.where(known | np.isnan(given), gap, 0.0)
    digits = 0.0 if epsilon <= EPSILON else epsilon
    length, floor = norm(numeric), np.full(gap.shape, max(FLOOR, 10 * digits) * scale)
    relative = max(WHOLE, 100 * digits)
    for doubt in (False, True):
        if doubt:
            if noise is None:
                break
            of_numeric, of_given = noise()
            most = max(MOST_NOISE, 1e4 * digits) * max(length, 1e-5 * scale)
            floor = floor + NOISE * of_numeric.max() + np.minimum(NOISE * of_given, most)
        allowed = max(ELEMENT, 1000 * digits) * reach + BARS * bar + floor
        allowed = allowed + max(SMALL, 10 * digits) * length
        wrong = gap > allowed
        bound = relative * length + BARS * norm(bar) + norm(floor)
        if norm(gap) <= bound and not wrong.any():
            break
    unit = max(length, norm(floor) / WHOLE) or 1.0
    if norm(gap) > bound or wrong.any():
        wrong = wrong if wrong.any() else gap >= 0.5 * gap.max()
        return Agreement("wrong", norm(gap) / unit, bound / unit, wrong)
    usual = np.maximum(np.abs(numeric), unit / max(gap.size, 1) ** 0.5)
    blunt = ~known | (BARS * bar > np.maximum(BLUNT * usual, 1e-9 * scale))
    return Agreement("undecided" if blunt.any() else "right", norm(gap) / unit, bound / unit, wrong)
