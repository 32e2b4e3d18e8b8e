"""Numeric derivatives along a direction v, each with an error bar.

complex step   f'(x) v = Im f(x + ihv) / h,  h = 1e-20. No subtraction, so no rounding: exact to the
               last digits, but f must be analytic and must carry complex numbers through.
central        (f(x + hv) - f(x - hv)) / 2h, with an error of order h^2. Halving h and combining the
differences    results cancels the orders h^2, h^4, h^6, h^8: Richardson's table, of which the last
               entries also bound the error that is left. The quotients of one side alone, combined
               likewise, show a kink: there the slopes of the two sides differ.

`np.abs`, `np.var` or a hidden `.real` give a complex step that is plausible and wrong, without any
warning. So it is believed only after it agreed with Richardson along a random direction.

Source     Squire and Trapp 1998 (complex step); Ridders 1982 (extrapolation with an error bar);
           Hamming 1962, chapter 6 (noise from a difference table)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.exceptions import ComplexWarning

from ..arrays import Array

Function = Callable[[Array], Array]

COMPLEX_STEP, RICHARDSON = "complex step", "Richardson"
STEP = 1e-20
HALVES = 5          # central differences in a table
EPSILON = float(np.finfo(np.float64).eps)
COARSE = 1e-11      # values whose rounding noise is a larger fraction of them are not float64
ENOUGH = 1e-11      # an error bar of this fraction of the derivative ends the search for a better


class NotComplex(TypeError):
    """A function lost the imaginary part of its input."""


class Slope(NamedTuple):
    """The derivative of every output, its error bar, and half the distance between two slopes.

    On a kink, such as ReLU's at 0, the slopes of the two sides are value +- spread, and either
    counts; elsewhere the spread is 0.
    """

    value: Array
    error: Array
    spread: Array


@dataclass(frozen=True)
class Way:
    """A method for one function, and in a plain phrase `why` this one.

    `noise` is how far rounding moves each of the function's values, `epsilon` the precision that it
    computes in.
    """

    name: str
    why: str
    noise: Array | float = 0.0
    epsilon: float = EPSILON

    @property
    def exact(self) -> bool:
        """Whether it is the complex step, which has no error but the last digits."""
        return self.name == COMPLEX_STEP

    @property
    def coarse(self) -> bool:
        """Whether the function computes in less than float64."""
        return self.epsilon > COARSE

    def along(self, f: Function, x: Array, direction: Array) -> Slope:
        """The derivative of f at x along a direction; raises NotComplex as `complex_step`."""
        if not self.exact:
            return richardson(f, x, direction, self.noise, self.epsilon)
        value = complex_step(f, x, direction)
        return Slope(value, 8 * EPSILON * np.abs(value), np.zeros(value.shape))


def ways(f: Function, x: Array, rng: np.random.Generator) -> list[Way]:
    """How to take derivatives of f at x: the first is trusted, the second can prove one right.

    The complex step if f carries it and Richardson agrees along a random direction, else
    Richardson. Where differences are too rough to tell, a backward that agrees with the complex
    step to ten digits is right: that is no chance. A backward that does not is not called wrong.
    """
    noise, epsilon = rounding_noise(f, x, rng)

    def differences(why: str) -> Way:
        return Way(RICHARDSON, why, noise, epsilon)

    if epsilon > COARSE:
        return [differences(f"the function computes in {precision_name(epsilon)}")]
    # each element moves by a fraction of itself: beside the edge of its domain f stays defined
    size = np.where(np.isfinite(x), np.minimum(np.abs(x), 1.0), 0.0)
    direction = signs(x.shape, rng) * np.where(x == 0, 1.0, size)
    try:
        exact = complex_step(f, x, direction)
    except Exception as error:      # whatever the user's code does with a complex number
        reason = " ".join(str(error).split())[:60]
        return [differences(f"complex numbers are not carried through ({reason})")]
    value, bar, spread = richardson(f, x, direction, noise)
    if exact.shape != value.shape:
        return [differences("a complex input changes the shape of the output")]
    known = np.isfinite(exact) & np.isfinite(bar)
    gap, rough, length = norm((exact - value)[known]), norm(bar[known]), norm(value[known])
    if not known.any() or rough > 1e-3 * length + 1e-9:
        return [differences("the function is steep, or ends nearby"),
                Way(COMPLEX_STEP, "differences are too rough to tell", noise)]
    if gap <= 10 * rough + 1e-9 * length and not spread[known].any():
        return [Way(COMPLEX_STEP, "analytic: agrees with Richardson", noise),
                differences("a second opinion")]
    return [differences("not analytic: a complex step disagrees")]


def complex_step(f: Function, x: Array, direction: Array) -> Array:
    """Im f(x + ihv) / h with h = 1e-20; raises NotComplex where f loses the imaginary part."""
    z = x.astype(np.complex128)
    z.imag = STEP * direction
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", ComplexWarning)
        out = np.asarray(f(z))
    if not np.iscomplexobj(out):
        raise NotComplex("the output is real")
    return np.asarray(out.imag / STEP)


def richardson(
    f: Function, x: Array, direction: Array, noise: Array | float = 0.0, epsilon: float = EPSILON
) -> Slope:
    """Extrapolated differences; every output keeps the answer with the smallest error bar.

    Tries smaller steps until the error bars are small enough, or rounding is all that is left.
    Where f is not defined on both sides, or raises there, the error bar is infinite.
    """
    here = np.asarray(f(x), np.float64)
    reach = float(np.max(np.abs(x[direction != 0]), initial=0.0))
    length = float(np.max(np.abs(direction), initial=0.0)) or 1.0
    near = epsilon ** (1 / 3) * max(min(1.0, reach or 1.0), 5e-4 * reach)

    def table(h: float, rows: int, ratio: float = 2.0) -> tuple[Array, ...]:
        """The quotients of both sides at h, h / 2, ...: (rows, *out.shape); and their rounding."""
        steps = h / length / ratio ** np.arange(rows)
        above, below = (np.array([tried(f, x + step * direction, here.shape)
                                  for step in sign * steps]) for sign in (1, -1))
        last, steps = steps[-1], steps.reshape(-1, *[1] * here.ndim)
        left, right = (here - below) / steps, (above - here) / steps
        rounding = (EPSILON * (np.abs(above[-1]) + np.abs(below[-1])) + 4 * noise) / last
        # x moves by a little more or less than the step, by its own rounding
        rounding += 2 * epsilon * (1 + reach / (last * length)) * np.abs(left[-1] + right[-1])
        return left, right, (left + right) / 2, _finite(rounding)

    with np.errstate(all="ignore"):
        # what is seen near by, though not sharply: a wave looks flat from afar
        (_, left), (_, right), (rough, seen), rounding = table(4 * near, 2, 4.0)
        doubt = _finite(np.abs(seen - rough) + rounding)
        value, error, spread = seen, doubt + np.abs(left - right), np.zeros(here.shape)
        h = 0.3 * max(1.0, reach)
        while h >= near / 3:
            left, right, middle, rounding = table(h, HALVES)
            (left, left_bar), (right, right_bar) = (_extrapolated(q, 2) for q in (left, right))
            middle, bar = _extrapolated(middle, 4)
            sides = np.maximum(left_bar, right_bar) + 8 * rounding
            kink = np.abs(right - left) > 1e-4 * (np.abs(left) + np.abs(right)) + 30 * sides
            bar = np.where(kink, sides, bar + rounding)
            middle = np.where(kink, (left + right) / 2, middle)
            better = (bar < error) & (np.abs(middle - seen) <= bar + 3 * doubt)
            value, error = np.where(better, middle, value), np.where(better, bar, error)
            spread = np.where(better, np.where(kink, np.abs(right - left) / 2, 0.0), spread)
            # below the rounding of a step, smaller ones only have more of it
            if norm(error) <= ENOUGH * norm(value) or norm(_finite(bar)) <= 2 * norm(rounding) < np.inf:
                break
            h /= 10
    return Slope(value, error, spread)


def _extrapolated(quotients: Array, power: int) -> tuple[Array, Array]:
    """(the last entry of Richardson's table, its error bar) from quotients at halved steps.

    Their error is a series in the step to the `power` of one, two, ... of a half: 2 for the
    quotients of one side, 4 for central ones.
    """
    row: list[Array] = []
    for quotient in quotients:
        before, row = row, [quotient]
        for order, older in enumerate(before, start=1):
            row.append(row[-1] + (row[-1] - older) / (float(power) ** order - 1))
    # the distance of the last entry to its two neighbours bounds what is left
    return row[-1], np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - before[-1]))


def rounding_noise(f: Function, x: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """(how far rounding moves each value of f, the precision that this shows).

    Values that move with x and all fit into float32 come from float32. Where the result was made
    float64 again, fourth differences show it, in which a smooth function cancels: rounding does not
    shrink with the step, a kink does.
    """
    values = np.asarray(f(x), np.float64)
    known = np.isfinite(values)
    scale = np.where(np.isfinite(x), np.clip(np.abs(x), 1e-3, 1.0), 0.0)
    # sums that cancel to almost nothing are float64 still
    size = float(np.max(np.abs(values[known]), initial=1e-3 * float(np.max(scale, initial=0.0))))

    def five(h: float) -> Array:
        """f at five places in a row, a little aside from x."""
        direction = signs(x.shape, rng) * scale
        place = x + 3e-3 * rng.uniform(-1, 1) * direction
        step = place + h * direction - place    # one that x itself does not round
        return np.array([tried(f, place + k * step, values.shape) for k in range(-2, 3)])

    def jumps(h: float) -> Array:
        """Fourth differences; a jump is in one place only, so the middle one of five rows counts.
        """
        rows = [np.abs(np.tensordot([1, -4, 6, -4, 1], five(h), 1)) for _ in range(5)]
        return np.asarray(np.median(rows, axis=0) / np.sqrt(70))

    with np.errstate(all="ignore"):
        far = np.sort(five(1e-2), axis=0)
        moving = far[:, (np.diff(far, axis=0) > 100 * COARSE * size).all(axis=0)]
        wide, narrow = jumps(1e-3), jumps(1e-4)
        noise = np.where(known & (narrow > 0.1 * wide), 2 * narrow, 0.0)
        shown = float(np.median(noise)) / size if size and noise.size else 0.0
        epsilon = EPSILON if shown <= COARSE else 2.0**-24 if 1e-9 < shown < 3e-6 else shown
        for kind in (np.float32, np.float16):
            if moving.size and np.array_equal(moving.astype(kind), moving):
                epsilon = float(np.finfo(kind).eps) / 2
    if epsilon <= COARSE:
        return np.minimum(noise, 1e-12 * size), epsilon
    return np.maximum(noise, np.where(known, epsilon * np.abs(values), 0.0)), epsilon


def tried(f: Function, x: Array, shape: tuple[int, ...]) -> Array:
    """f(x) as float64; NaN where f raises or gives another shape, at an x of our making."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = np.asarray(f(x), np.float64)
    except Exception:       # the user's code may reject what lies outside of its domain
        return np.full(shape, np.nan)
    return out if out.shape == shape else np.full(shape, np.nan)


def unit_directions(shape: tuple[int, ...]) -> list[Array]:
    """The directions that move one element by one, in C order."""
    return [row.reshape(shape) for row in np.eye(math.prod(shape))]


def precision_name(epsilon: float) -> str:
    """float32 for 6e-8, and so on; else what the noise is."""
    if 1e-9 < epsilon < 3e-6:
        return "float32"
    return "float16" if epsilon >= 3e-6 else f"numbers with a noise of {epsilon:.0e}"


def signs(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
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


def _finite(error: Array) -> Array:
    """An error bar; infinite where it is not known."""
    return np.asarray(np.where(np.isfinite(error), error, np.inf))
