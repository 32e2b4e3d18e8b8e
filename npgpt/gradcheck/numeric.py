"""Numeric derivatives along a direction v, each with an error bar.

complex step   f'(x) v = Im f(x + ihv) / h,  h = 1e-20. No subtraction, so no rounding: exact to the
               last digits, but f must be analytic and must carry complex numbers through.
central        (f(x + hv) - f(x - hv)) / 2h, with an error of order h^2. Halving h and combining the
differences    results cancels the orders h^2, h^4, h^6, h^8: Richardson's table, of which the last
               entries also bound the error that is left. The quotients of one side alone, combined
               likewise, show a kink: there the slopes of the two sides differ.

`np.abs`, `np.var` or a hidden `.real` give a complex step that is plausible and wrong, without any
warning. So it is believed only after it agreed with Richardson along a random direction.

Source     Squire and Trapp 1998 (complex step); Ridders 1982 (extrapolation with an error bar)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.exceptions import ComplexWarning
from numpy.random import Generator

from ..arrays import Array

Function = Callable[[Array], Array]

COMPLEX_STEP, RICHARDSON = "complex step", "Richardson"
STEEP = "the function is steep, or ends nearby"
STEP = 1e-20
HALVES = 5          # central differences in a table
EPSILON = float(np.finfo(np.float64).eps)
NOISE = 30.0        # times what rounding was seen to move
ENOUGH = 1e-11      # an error bar of this fraction of the derivative ends the search for a better


class NotComplex(TypeError):
    """A function lost the imaginary part of its input."""


class Slope(NamedTuple):
    """The derivative of every output, its error bar, and how far a right gradient may be from it.

    On a kink, such as ReLU's at 0, the slopes of the two sides are value +- spread, and either
    counts; elsewhere the spread is rounding.
    """

    value: Array
    error: Array
    spread: Array


def derivative(
    f: Function, x: Array, rng: Generator, epsilon: float = EPSILON
) -> tuple[str, str, Callable[[Array], Slope]]:
    """(name, why, direction -> Slope): the method for f at x, and in plain words why this one.

    The complex step if f carries it and Richardson agrees along a random direction, else
    Richardson. `epsilon` is f's precision.
    """
    if epsilon > EPSILON:
        why = f"the function computes in {np.asarray(f(x)).dtype}"
    elif not (why := why_not_complex(f, x, rng)):
        # a derivative that is 0 by cancellation is what a unit in the last place of x makes of it
        any_way = signs(x.shape, rng)
        nudged = [x * (1 + 2 * EPSILON * signs(x.shape, rng)) for _ in range(10)]
        noise = NOISE * np.ptp([complex_step(f, y, any_way).value for y in nudged], axis=0)
        return COMPLEX_STEP, "agrees with Richardson", lambda v: complex_step(f, x, v, noise)
    return RICHARDSON, why, lambda v: richardson(f, x, v, epsilon=epsilon)


def why_not_complex(f: Function, x: Array, rng: Generator, noise: Array | float = 0.0) -> str:
    """Why a complex step is not to be believed for f at x; "" if it is."""
    # each element moves by a fraction of itself: beside the edge of its domain f stays defined
    size = np.where(np.isfinite(x), np.minimum(np.abs(x), 1.0), 0.0)
    direction = signs(x.shape, rng) * np.where(x == 0, 1.0, size)
    value, bar, spread = richardson(f, x, direction, noise)
    try:
        gap = complex_step(f, x, direction).value - value
    except Exception as error:      # whatever the user's code does with a complex number
        return f"complex numbers are not carried through ({' '.join(str(error).split())[:60]})"
    known = np.isfinite(gap) & np.isfinite(bar)
    rough, length = norm(bar[known]), norm(value[known])
    if not known.any() or rough > 1e-3 * length + 1e-9:
        return STEEP
    if norm(gap[known]) > 10 * rough + 1e-9 * length or spread[known].any():
        return "not analytic: a complex step disagrees"
    return ""


def complex_step(f: Function, x: Array, v: Array, noise: Array | float = 0.0) -> Slope:
    """Im f(x + ihv) / h with h = 1e-20; raises NotComplex where f loses the imaginary part."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        warnings.simplefilter("error", ComplexWarning)
        out = np.asarray(f(x + 1j * STEP * v))
    if not np.iscomplexobj(out):
        raise NotComplex("the output is real")
    value = np.asarray(out.imag / STEP)
    return Slope(value, 8 * EPSILON * np.abs(value), noise + np.zeros(value.shape))


def richardson(
    f: Function, x: Array, direction: Array, noise: Array | float = 0.0, epsilon: float = EPSILON
) -> Slope:
    """Extrapolated differences; every output keeps the answer with the smallest error bar.

    Tries smaller steps until the error bars are small enough, or rounding is all that is left.
    Where f is not defined on both sides, or raises there, the error bar is infinite.
    """
    here = np.asarray(f(x), np.float64)
    largest = float(np.max(np.abs(x[(direction != 0) & np.isfinite(x)]), initial=0.0))
    length = float(np.max(np.abs(direction), initial=0.0)) or 1.0

    def quotients(h: float, count: int, ratio: float = 2.0) -> tuple[Array, Array, Array]:
        """Those of the left and of the right at h, h / ratio, ...; and the rounding of the last."""
        steps = h / length / ratio ** np.arange(count)
        above, below = (np.array([tried(f, x + step * direction, here.shape)
                                  for step in sign * steps]) for sign in (1, -1))
        last, steps = steps[-1], steps.reshape(-1, *[1] * here.ndim)
        left, right = (here - below) / steps, (above - here) / steps
        rounding = (epsilon * (np.abs(above[-1]) + np.abs(below[-1])) + 4 * noise) / last
        # x moves by a little more or less than the step, by its own rounding
        rounding += 2 * epsilon * (1 + largest / (last * length)) * np.abs(left[-1] + right[-1])
        return left, right, np.nan_to_num(rounding, nan=np.inf, posinf=np.inf)

    with np.errstate(all="ignore"):
        # what is seen near by, though not sharply: from afar a wave looks flat
        near = epsilon ** (1 / 3) * max(min(1.0, largest or 1.0), 5e-4 * largest)
        left, right, rounding = quotients(4 * near, 2, 4.0)
        rough, value = (left + right) / 2
        doubt = np.nan_to_num(np.abs(value - rough) + rounding, nan=np.inf, posinf=np.inf)
        seen, error, spread = value, doubt + np.abs(left - right)[1], np.zeros(here.shape)
        h = 0.3 * max(1.0, largest)
        while h >= near / 3:
            left, right, rounding = quotients(h, HALVES)
            middle, bar = _extrapolated((left + right) / 2, 4)
            (left, left_bar), (right, right_bar) = _extrapolated(left, 2), _extrapolated(right, 2)
            sides = np.maximum(left_bar, right_bar) + 8 * rounding
            kink = np.abs(right - left) > 1e-4 * (np.abs(left) + np.abs(right)) + 30 * sides
            middle = np.where(kink, (left + right) / 2, middle)
            bar = np.nan_to_num(np.where(kink, sides, bar + rounding), nan=np.inf, posinf=np.inf)
            better = (bar < error) & (np.abs(middle - seen) <= bar + 3 * doubt)
            value, error = np.where(better, middle, value), np.where(better, bar, error)
            spread = np.where(better, np.where(kink, np.abs(right - left) / 2, 0.0), spread)
            # below the rounding of a step, smaller ones only have more of it
            if norm(error) <= ENOUGH * norm(value) or norm(bar) <= 2 * norm(rounding) < np.inf:
                break
            h /= 10
    return Slope(value, error, spread)


def _extrapolated(quotients: Array, power: int) -> tuple[Array, Array]:
    """(the last entry of Richardson's table, its error bar) from quotients at halved steps, whose
    first order of error a halving divides by `power`: 2 for those of one side, 4 for central ones.
    """
    row: list[Array] = []
    for quotient in quotients:
        before, row = row, [quotient]
        for order, older in enumerate(before, start=1):
            row.append(row[-1] + (row[-1] - older) / (float(power) ** order - 1))
    # the distance of the last entry to its two neighbours bounds what is left
    return row[-1], np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - before[-1]))


def tried(f: Function, x: Array, shape: tuple[int, ...]) -> Array:
    """f(x) as float64; NaN where f raises or gives another shape, at an x of our making."""
    try:
        with warnings.catch_warnings(action="ignore"):
            out = np.asarray(f(x), np.float64)
    except Exception:       # the user's code may reject what lies outside of its domain
        return np.full(shape, np.nan)
    return out if out.shape == shape else np.full(shape, np.nan)


def signs(shape: tuple[int, ...], rng: Generator) -> Array:
    """Random entries +-(0.5 to 1.5): no element can hide, and no two cancel exactly.

    As a dout they see what a sum-loss (all ones) does not: softmax gives it a gradient of zeros.
    """
    return np.asarray(rng.uniform(0.5, 1.5, shape) * (rng.integers(0, 2, shape) * 2.0 - 1.0))


def norm(a: Array) -> float:
    """The length of an array, also where its squares would overflow or vanish."""
    largest = float(np.max(np.abs(a), initial=0.0))
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(np.asarray(a / largest).reshape(-1)))
