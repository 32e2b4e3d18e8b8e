"""When do two gradients agree? One rule, which does not grow with the size of a tensor.

Whole tensor    ||analytic - numeric|| <= 1e-10 ||numeric||  (+ the numeric error bar)
Each element    |analytic - numeric|   <= 1e-8 of that element's own sum of |dout| |d out / d x|
                (+ its error bar), so one wrong element among a million cannot hide
Zero gradients  If ||numeric|| is below 1e-12 of what the gradient could have been, it is zero in
                exact arithmetic (attention's key bias); then errors are measured against that size.
Floor           An error below 1e-13 of what the gradient could have been is rounding, whatever it
                is relative to the gradient.
Noise           Where backward cancels large numbers (a saturated softmax), rounding alone exceeds
                the rule. Moving dout and the cache by one unit in the last place shows how much;
                thirty times that is forgiven, but never more than 1e-6 of the gradient or 1e-11 of
                what it could have been.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WHOLE = 1e-10
ELEMENT = 1e-8
ZERO = 1e-12
FLOOR = 1e-13
MOST_NOISE = 1e-6
MOST_NOISE_OF_REACH = 1e-11


@dataclass(frozen=True)
class Comparison:
    """The verdict on a tensor: relative `error`, `tolerance`, `wrong` (a mask), `zero`, `noisy`."""

    error: float
    tolerance: float
    wrong: Array
    ok: bool
    zero: bool = False
    noisy: bool = False


def compare(
    analytic: Array,
    numeric: Array,
    error_bar: Array,
    magnitude: Array,
    reach: float,
    noise: Callable[[], Array] | None = None,
) -> Comparison:
    """Compare two gradients of one shape.

    `magnitude`: per element, the sum of |dout| |d out / d x|. `reach`: the length that a
    gradient could have had, such as ||dout|| ||out|| / ||x||. `noise`: called only in doubt; gives
    the rounding noise of `analytic`.
    """
    gap = np.abs(analytic - numeric)
    bad = ~np.isfinite(analytic)
    gap = np.where(bad, np.inf, gap)
    length = float(np.linalg.norm(numeric))
    zero = bool(length <= ZERO * reach)
    scale = (reach if zero else length) or 1.0
    error = float(np.linalg.norm(gap) / scale)
    floor = FLOOR * reach
    tolerance = float(WHOLE + (3 * np.linalg.norm(error_bar) + floor) / scale)
    allowed = ELEMENT * magnitude + 5 * error_bar + floor + (WHOLE if zero else ZERO) * scale
    wrong = gap > allowed
    if error <= tolerance and not wrong.any():
        return Comparison(error, tolerance, wrong, True, zero)
    most = max(MOST_NOISE * length, MOST_NOISE_OF_REACH * reach)
    if noise is not None and error * scale <= most:
        grain = np.minimum(30 * noise(), most)
        tolerance += float(np.linalg.norm(grain)) / scale
        wrong = gap > allowed + grain
        if error <= tolerance and not wrong.any():
            return Comparison(error, tolerance, wrong, True, zero, noisy=True)
    if not wrong.any():
        wrong = gap >= 0.5 * gap.max(initial=0.0)
    return Comparison(error, tolerance, wrong, False, zero)
