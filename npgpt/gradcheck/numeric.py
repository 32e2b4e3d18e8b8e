"""Numeric derivatives along a direction, each with an error bar.

complex step   f'(x) v = Im f(x + i h v) / h,  h = 1e-20. No subtraction, so no rounding: exact to
               the last digits, but f must be analytic and must carry complex numbers through.
Richardson     central differences at h, h/2, h/4, h/8, combined so that the errors of order h^2,
               h^4, h^6 cancel. The last columns of the table estimate what error is left.
central        (f(x + h v) - f(x - h v)) / 2h at h = 6e-6, where the table does not converge.

`np.abs`, `np.var` or a hidden `.real` give a complex step that is plausible and wrong, without any
warning. So it is believed only after it agreed with Richardson along a random direction.

Source     Squire and Trapp 1998 (complex step); Ridders 1982 (extrapolation with an error bar);
           Hamming 1962, chapter 6 (noise from a difference table)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.exceptions import ComplexWarning

from ..arrays import Array

Function = Callable[[Array], Array]

COMPLEX_STEP, RICHARDSON, CENTRAL = "complex step", "Richardson", "central differences"
STEP = 1e-20
EPSILON = float(np.finfo(np.float64).eps)
COARSE = 1e-11      # values whose rounding noise is a larger fraction of them are not float64
ENOUGH = 1e-11      # an error bar of this fraction of the derivative ends the search for a better


class NotComplex(TypeError):
    """A function lost the imaginary part of its input."""


class Slope(NamedTuple):
    """The derivative of every output, its error bar, and the method that gave it."""

    value: Array
    error: Array
    method: str


@dataclass(frozen=True)
class Way:
    """A method for one function, and in a plain phrase `why` this one.

    `noise` is how far each of the function's values jumps by rounding, `epsilon` the precision
    that it computes in.
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
            return richardson(f, x, direction, self.noise)
        value = complex_step(f, x, direction)
        return Slope(value, 8 * EPSILON * np.abs(value), self.name)

    def sides(
        self, f: Function, x: Array, direction: Array, h: float = 1e-5
    ) -> tuple[Array, Array, Array]:
        """The slopes to the left and to the right, and how well they are known.

        On a kink, such as ReLU's at 0, they differ, and backward may give either.
        """
        h *= (1000 if self.coarse else 1) * max(1.0, _reach(x, direction))
        middle = np.asarray(f(x), np.float64)
        slopes, error = [], 32 * (EPSILON * np.abs(middle) + self.noise) / h
        with np.errstate(all="ignore"):
            for step in (-h, h):
                a, b, c = (
                    (tried(f, x + part * direction, middle.shape) - middle) / part
                    for part in (step, step / 2, step / 4))
                slopes.append((8 * c - 6 * b + a) / 3)
                error = error + np.abs(slopes[-1] - (2 * c - b))
        left, right = slopes
        return left, right, _finite(error)

    def kinks(self, f: Function, x: Array) -> Array:
        """A mask of the elements of x at which, or within 1e-5 of which, f has a kink.

        On a kink the slopes of the two sides differ, however small the step; beside one they agree
        all at once. On a smooth curve, however steep, they approach each other slowly.
        """
        found = []
        for v in unit_directions(x.shape):
            gaps = []
            for h in (1e-5, 1e-6):
                left, right, error = self.sides(f, x, v, h)
                gaps.append(np.abs(left - right))
            size = 0.02 * np.max(np.abs([left, right]), initial=0.0)
            gone = gaps[1] <= 1e-6 * size + 64 * (EPSILON * np.abs(f(x)) + self.noise) / 1e-6
            found.append(bool(np.any((gaps[1] > size + error) | (gaps[0] > size) & gone)))
        return np.array(found).reshape(x.shape)


def ways(f: Function, x: Array, rng: np.random.Generator) -> list[Way]:
    """How to take derivatives of f at x: the first is trusted, the second can prove one right.

    The complex step if f carries it and Richardson agrees along a random direction, else
    Richardson. Where differences are too rough to tell, a backward that agrees with the complex
    step to ten digits is right: that is no chance. A backward that does not is not called wrong.
    """
    # moves every element by a fraction of itself: beside the edge of its domain f stays defined
    size = np.where(np.isfinite(x), np.minimum(np.abs(x), 1.0), 0.0)
    direction = signs(x.shape, rng) * np.where(x == 0, 1.0, size)
    noise, epsilon = rounding_noise(f, x, rng)
    if epsilon > COARSE:
        word = precision_name(epsilon)
        return [Way(RICHARDSON, f"the function computes in {word}", noise, epsilon)]
    try:
        exact = complex_step(f, x, direction)
    except Exception as error:      # whatever the user's code does with a complex number
        reason = " ".join(str(error).split())[:60]
        return [Way(RICHARDSON, f"complex numbers are not carried through ({reason})", noise)]
    value, bar, _ = richardson(f, x, direction, noise)
    differences = Way(RICHARDSON, "a second opinion", noise)
    complex_way = Way(COMPLEX_STEP, "analytic: agrees with Richardson", noise)
    if exact.shape != value.shape:
        return [Way(RICHARDSON, "a complex input changes the shape of the output", noise)]
    known = np.isfinite(exact) & np.isfinite(bar)
    gap, rough = norm((exact - value)[known]), norm(bar[known])
    if not known.any() or rough > 1e-3 * norm(value[known]) + 1e-9:
        steep = Way(RICHARDSON, "the function is steep, or ends nearby", noise)
        return [steep, Way(COMPLEX_STEP, "differences are too rough to tell", noise)]
    if gap <= 10 * rough + 1e-9 * norm(value[known]):
        return [complex_way, differences]
    return [Way(RICHARDSON, "not analytic: a complex step disagrees", noise)]


def complex_step(f: Function, x: Array, direction: Array) -> Array:
    """Im f(x + i h v) / h with h = 1e-20; raises NotComplex where f loses the imaginary part."""
    z = x.astype(np.complex128)
    z.imag = STEP * direction
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", ComplexWarning)
        out = np.asarray(f(z))
    if not np.iscomplexobj(out):
        raise NotComplex("the output is real")
    return np.asarray(out.imag / STEP)


def richardson(f: Function, x: Array, direction: Array, noise: Array | float = 0.0) -> Slope:
    """Extrapolated central differences; every output keeps the answer with the smallest error bar.

    Tries smaller steps until the error bars are small enough, or rounding is all that is left.
    Where f is not defined on both sides, or raises there, the error bar is infinite.
    """
    reach = _reach(x, direction)
    length = float(np.max(np.abs(direction), initial=0.0)) or 1.0
    shape = np.shape(f(x))

    def difference(h: float) -> tuple[Array, Array]:
        """(derivative, its rounding) with a step of h."""
        move = direction * (h / length)
        above, below = (tried(f, x + sign * move, shape) for sign in (1, -1))
        value = (above - below) * (length / (2 * h))
        rounding = (EPSILON * (np.abs(above) + np.abs(below)) + 4 * noise) * (length / (2 * h))
        return value, rounding + EPSILON * reach / h * np.abs(value)

    with np.errstate(all="ignore"):
        best, rounding = difference(6e-6 * max(1.0, reach))
        error = _finite(np.abs(best - difference(24e-6 * max(1.0, reach))[0]) + rounding)
        method = CENTRAL
        for h in _steps(reach):
            value, bar, rounding = _table(difference, h)
            better = bar < error
            best, error = np.where(better, value, best), np.where(better, bar, error)
            if np.mean(better | (error == 0)) > 0.5:
                method = RICHARDSON
            # below the rounding of a step, smaller ones only have more of it
            if norm(error) <= ENOUGH * norm(best) or norm(bar) <= 4 * norm(rounding) < np.inf:
                break
    if norm(error) > ENOUGH * norm(best) and np.isfinite(norm(rounding)):
        with np.errstate(all="ignore"):
            value, bar, _ = _table(difference, 0.3 * max(1.0, reach))
        best, error = np.where(bar < error, value, best), np.minimum(error, bar)
    return Slope(best, error, method)


def _reach(x: Array, direction: Array) -> float:
    """The size of the largest element that moves."""
    return float(np.max(np.abs(x[direction != 0]), initial=0.0))


def _steps(reach: float) -> Iterator[float]:
    """From 0.03 of the size of x down: far for a smooth f, near for an edge or a fast wave."""
    h, least = 0.03 * max(1.0, reach), max(3e-10 * reach, 3e-6 * min(1.0, reach or 1.0))
    while h >= 0.9 * least:
        yield h
        h /= 10


def _table(
    difference: Callable[[float], tuple[Array, Array]], h: float
) -> tuple[Array, Array, Array]:
    """(derivative, error bar, the part of it that is rounding) from four halved steps."""
    row: list[Array] = []
    error = rounding = np.zeros(())
    for level in range(4):
        value, rounding = difference(h / 2**level)
        fresh = [value]
        for order, older in enumerate(row, start=1):
            fresh.append(fresh[-1] + (fresh[-1] - older) / (4.0**order - 1))
        if row:     # the distance of the newest entry to its two neighbours bounds what is left
            error = np.maximum(np.abs(fresh[-1] - fresh[-2]), np.abs(fresh[-1] - row[-1]))
        row = fresh
    return row[-1], _finite(error + 2 * rounding), _finite(2 * rounding)


def rounding_noise(f: Function, x: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """(how far each value of f jumps by rounding, the precision that this shows).

    Values that move with x and all fit into float32 come from float32. Where the result was made
    float64 again, fourth differences show it, in which a smooth function cancels: rounding does not
    shrink with the step, a kink does; and a jump is in one place only, so the middle one of five
    places counts.
    """
    values = np.asarray(f(x), np.float64)
    scale = np.where(np.isfinite(x), np.clip(np.abs(x), 1e-3, 1.0), 0.0)

    def row(h: float) -> Array:
        """f at five places in a row, a little aside from x."""
        direction, aside = signs(x.shape, rng) * scale, 1e-4 * rng.uniform(-1, 1)
        return np.array([tried(f, x + (aside + k * h) * direction, values.shape)
                         for k in range(-2, 3)])

    def jumps(row: Array) -> Array:
        return np.asarray(np.abs(np.tensordot([1, -4, 6, -4, 1], row, 1)) / np.sqrt(70))

    known = np.isfinite(values)
    # sums that cancel to almost nothing are float64 still
    size = float(np.max(np.abs(values[known]), initial=1e-3 * float(np.max(scale, initial=0.0))))

    def steady(far: float, near: float, rows: int) -> Array:
        """What does not shrink with the step."""
        wide, narrow = (np.median([jumps(row(h)) for _ in range(rows)], axis=0)
                        for h in (far, near))
        return np.where(known & (narrow > 0.1 * wide), 2 * narrow, 0.0)

    with np.errstate(all="ignore"):
        first = np.sort(row(1e-2), axis=0)
        # a jump has two values only
        moving = first[:, (np.diff(first, axis=0) > 100 * COARSE * size).all(axis=0)]
        for kind in (np.float16, np.float32):
            if moving.size and np.array_equal(moving.astype(kind), moving):
                epsilon = float(np.finfo(kind).eps) / 2
                break
        else:
            epsilon, noise = EPSILON, steady(1e-3, 1e-4, 2)
            if norm(noise) <= COARSE * size:
                return np.minimum(noise, 1e-12 * size), epsilon
        noise = steady(1e-4, 3e-6, 5)
    shown = float(np.median(noise)) / size if size and noise.size else 0.0
    if epsilon == EPSILON and shown > COARSE:
        epsilon = 2.0**-24 if 1e-9 < shown < 3e-6 else shown
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


def _finite(error: Any) -> Array:
    """An error bar; infinite where it is not known."""
    return np.asarray(np.where(np.isfinite(error), error, np.inf))
