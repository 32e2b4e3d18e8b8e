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
Precision       All of this for float64. Where forward itself computes in float32 each bound is at
                least a fixed multiple of that precision.
Undecided       Where the error bars are so wide that an error of 1 % could pass, nothing is proven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import EPSILON, norm

WHOLE = 1e-10
ELEMENT = 1e-8
ZERO = 1e-12
FLOOR = 1e-13
MOST_NOISE = 1e-6
MOST_NOISE_OF_SCALE = 1e-11
BLUNT = 1e-2  # an error bar above this fraction of a gradient proves nothing
ROUNDING = 1e-9


@dataclass(frozen=True)
class Comparison:
    """The verdict on a tensor: relative `error`, `tolerance`, `wrong` (a mask), `zero`, `noisy`.

    `undecided`: some elements are not wrong, but too little is known of them to prove them right.
    """

    error: float
    tolerance: float
    wrong: Array
    ok: bool
    zero: bool = False
    noisy: bool = False
    undecided: bool = False


def compare(
    analytic: Array,
    numeric: Array,
    error_bar: Array,
    magnitude: Array,
    scale: float,
    noise: Callable[[], Array] | None = None,
    epsilon: float = EPSILON,
) -> Comparison:
    """Compare two gradients of one shape.

    `magnitude`: per element, the sum of |dout| |d out / d x|. `scale`: the length that a
    gradient could have had, such as ||dout|| ||out|| / ||x||. `noise`: called only in doubt; gives
    the rounding noise of `analytic`. `epsilon`: the precision that forward computes in.
    """
    less = 0.0 if epsilon <= EPSILON else epsilon
    gap = np.abs(analytic - numeric)
    bad = ~np.isfinite(analytic)
    gap = np.where(bad, np.inf, gap)
    length = norm(numeric)
    zero = bool(length <= ZERO * scale)
    unit = (scale if zero else length) or 1.0
    error = norm(gap) / unit
    floor = max(FLOOR, 10 * less) * scale
    relative = max(WHOLE, 100 * less)
    tolerance = relative + (3 * norm(error_bar) + floor) / unit
    allowed = max(ELEMENT, 1000 * less) * magnitude + 5 * error_bar + floor
    allowed = allowed + (relative if zero else max(ZERO, 10 * less)) * unit
    wrong = gap > allowed
    if error <= tolerance and not wrong.any():
        # a gradient so small beside what it could be that rounding is all that is compared
        noise_level = max(floor, ROUNDING * scale if tolerance > BLUNT else 0.0)
        noisy = not zero and noise_level > MOST_NOISE * unit and less == 0
        blunt = _undecided(error_bar, numeric, unit, ROUNDING * scale)
        return Comparison(error, tolerance, wrong, True, zero, noisy, blunt)
    most = max(MOST_NOISE, 1e4 * less) * length
    most = max(most, MOST_NOISE_OF_SCALE * scale, 100 * less * scale)
    if noise is not None and error * unit <= most:
        forgiven = np.minimum(30 * noise(), most)
        tolerance += norm(forgiven) / unit
        wrong = gap > allowed + forgiven
        if error <= tolerance and not wrong.any():
            return Comparison(error, tolerance, wrong, True, zero, noisy=True)
    if not wrong.any():
        wrong = gap >= 0.5 * gap.max(initial=0.0)
    return Comparison(error, tolerance, wrong, False, zero)


def _undecided(error_bar: Array, numeric: Array, unit: float, rounding: float) -> bool:
    """Is an error bar so wide that 1 % of a usual element could be missed?

    Not where the gradient is so small beside what it could be (a saturated softmax's) that the
    error bars are mere `rounding` of that: this is noise, and is reported as such.
    """
    usual = np.maximum(np.abs(numeric), unit / np.sqrt(max(numeric.size, 1)))
    return bool(np.any(5 * error_bar > np.maximum(BLUNT * usual, rounding)))
