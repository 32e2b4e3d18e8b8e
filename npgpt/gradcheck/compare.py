"""When a given gradient agrees with the numeric one: |given - numeric| is at most a fraction of
what an element could be, plus the numeric error bar, plus rounding. The tolerances and why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from .numeric import EPSILON, norm

WHOLE = 1e-10       # of the whole gradient's length: a complex step has 15 digits, Richardson 11
ELEMENT = 1e-8      # of an element's own sum of |dout| |d out/dx|: one wrong in a million shows
SMALL = 1e-12       # of the whole length: elements far smaller than their neighbours are rounding
FLOOR = 1e-13       # of what the gradient could have been, ||dout|| ||out|| / ||x||: rounding too
BARS = 5.0          # times the numeric error bar
UNCERTAIN = 1e-2    # an error that could be so large and still pass: nothing is proven


@dataclass(frozen=True)
class Agreement:
    """The verdict, "right", "wrong" or "undecided"; relative error; what is allowed; which differ.

    `zero`: the true gradient is zero up to rounding, and errors are relative to what it could be.
    """

    verdict: str
    error: float
    tolerance: float
    wrong: Array
    zero: bool = False


def agree(
    given: Array, numeric: Array, error_bar: Array, reach: Array, scale: float,
    epsilon: float = EPSILON, spread: Array | float = 0.0, noise: Array | float = 0.0,
) -> Agreement:
    """Compare two gradients of one shape.

    `reach` is each element's sum of |dout| |d out/d x|, `scale` the length that the gradient could
    have had, `epsilon` forward's precision, `spread` how far the slopes of a kink's two sides are
    from the middle between them, `noise` what else rounding may move.
    """
    # where the numeric side is NaN nothing is called wrong, but a NaN from backward always is
    known = np.isfinite(numeric) & np.isfinite(error_bar) & np.isfinite(spread)
    numeric, bar, reach = (np.where(known, a, 0.0) for a in (numeric, error_bar, reach))
    gap = np.where(np.isfinite(given), np.maximum(np.abs(given - numeric) - spread, 0.0), np.inf)
    gap = np.where(known | np.isnan(given), gap, 0.0)
    length = norm(numeric)
    floor = max(FLOOR, 10 * epsilon) * scale + noise + np.zeros(gap.shape)
    allowed = (max(ELEMENT, 1000 * epsilon) * reach + max(SMALL, 10 * epsilon) * length
               + BARS * bar + floor)
    bound = max(WHOLE, 100 * epsilon) * length + BARS * norm(bar) + norm(floor)
    wrong, zero = gap > allowed, bool(length <= norm(floor))
    relative_to = max(length, norm(floor) / WHOLE * zero) or 1.0
    if norm(gap) > bound or wrong.any():
        wrong = wrong if wrong.any() else gap >= 0.5 * gap.max()
        no_digit = bound > relative_to and bool(np.isfinite(given).all())   # of it is known
        return Agreement("undecided" if no_digit else "wrong", norm(gap) / relative_to,
                         bound / relative_to, wrong, zero)
    typical = np.maximum(np.abs(numeric), relative_to / max(gap.size, 1) ** 0.5)
    uncertain = ~known | (BARS * bar > np.maximum(UNCERTAIN * typical, 1e-9 * scale))
    verdict = "undecided" if uncertain.any() else "right"
    return Agreement(verdict, norm(gap) / relative_to, bound / relative_to, wrong, zero)
