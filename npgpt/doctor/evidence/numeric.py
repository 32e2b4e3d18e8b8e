"""Numeric derivatives for the doctor, who may accuse nobody: rounding is measured, and where two
methods disagree the second one is heard.

Source     Hamming 1962, chapter 6 (noise from a difference table)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...arrays import Array
from ...gradcheck.compare import FLOOR, Agreement, agree
from ...gradcheck.numeric import (
    COMPLEX_STEP,
    EPSILON,
    RICHARDSON,
    STEEP,
    Function,
    Slope,
    complex_step,
    norm,
    richardson,
    signs,
    tried,
    why_not_complex,
)
from ...gradcheck.pair import to_numpy
from .pair import Pair

COARSE = 1e-11      # values whose rounding noise is a larger fraction of them are not float64
NOISE = 30.0        # times what rounding was seen to move; backward's own at most MOST_NOISE
MOST_NOISE = 1e-6   # of the whole length: a backward that cancels (a saturated softmax) does lose
ROUNDING = 1e-11    # of what a gradient could be: less is no proof that one is wrong
SHARP = 1e-6        # an error bar above this fraction of a gradient has no second opinion


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
        return complex_step(f, x, direction)


def ways(f: Function, x: Array, rng: np.random.Generator) -> list[Way]:
    """How to take derivatives of f at x: the first is trusted, the second can prove one right.

    The complex step if f carries it and Richardson agrees along a random direction, else
    Richardson. Where differences are too rough to tell, a backward that agrees with the complex
    step to ten digits is right: that is no chance. A backward that does not is not called wrong.
    """
    noise, epsilon = rounding_noise(f, x, rng)
    if epsilon > COARSE:
        return [Way(RICHARDSON, f"the function computes in {precision_name(epsilon)}", noise,
                    epsilon)]
    why = why_not_complex(f, x, rng, noise)
    if not why:
        return [Way(COMPLEX_STEP, "analytic: agrees with Richardson", noise),
                Way(RICHARDSON, "a second opinion", noise)]
    second = [Way(COMPLEX_STEP, "differences are too rough to tell", noise)] * (why == STEEP)
    return [Way(RICHARDSON, why, noise), *second]


def rounding_noise(f: Function, x: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """(how far rounding moves each value of f, the precision that this shows).

    Values that move with x and all fit into float32 come from float32. Where the result was made
    float64 again, fourth differences show it, in which a smooth function cancels: rounding does not
    shrink with the step, a kink does.
    """
    values = np.asarray(f(x), np.float64)
    known = np.isfinite(values)
    scale = np.where(np.isfinite(x), np.clip(np.abs(x), 1e-3, 1.0), 0.0)
    # sums that cancel to almost nothing are float64 still, as is a loss at its optimum
    aside = tried(f, x + rng.standard_normal(x.shape), values.shape)
    least = 1e-3 * float(np.max([*scale.flat, *np.abs(aside[np.isfinite(aside)])], initial=0.0))
    size = float(np.max(np.abs(values[known]), initial=least))

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


def unit_directions(shape: tuple[int, ...]) -> list[Array]:
    """The directions that move one element by one, in C order."""
    return [row.reshape(shape) for row in np.eye(math.prod(shape))]


def precision_name(epsilon: float) -> str:
    """float32 for 6e-8, and so on; else what the noise is."""
    if 1e-9 < epsilon < 3e-6:
        return "float32"
    return "float16" if epsilon >= 3e-6 else f"numbers with a noise of {epsilon:.0e}"


@dataclass(frozen=True, eq=False)
class Gradient:
    """The true gradient of the input at `position`, for K `douts` (K, *out.shape), taken one `way`.

    N `moves` are the directions in which the input is moved; `out` (M elements) is forward's.
    """

    pair: Pair
    position: int
    out: Array
    douts: Array
    moves: Sequence[Array]
    way: Way

    @cached_property
    def taken(self) -> Slope:
        """The Jacobian (N, M) along the moves, its error bars, and its spreads on kinks."""
        return self._taken(self.pair)

    @cached_property
    def numeric(self) -> Array:
        """The true slopes along the moves, for each dout: (K, N)."""
        return np.asarray(self._flat @ self.taken.value.T)

    def verdict(self, given: Array) -> Agreement:
        """Whether the gradients `given` (K, *x.shape) are right."""
        along, size = self._along(given), np.abs(self._flat)
        scale = norm(self.douts) * norm(self.out[np.isfinite(self.out)]) / self._length

        def compared(noise: Array | float = 0.0) -> Agreement:
            value, error, spread = self.taken
            return agree(along, self.numeric, size @ error.T, size @ np.abs(value).T, scale,
                         self.way.epsilon, size @ spread.T, noise)

        found = compared()
        if found.verdict == "wrong":
            found = compared(self._noise(along, scale))
        if found.verdict == "right":
            return found
        could_be = self._could_be
        wide = compared(np.asarray(FLOOR * could_be))
        if wide.verdict == "right" and wide.zero:
            return wide
        if found.verdict == "wrong" and norm(along - self.numeric) <= ROUNDING * could_be:
            return replace(found, verdict="undecided")
        return found

    @property
    def _length(self) -> float:
        """The input's length, or a small one for an input of zeros."""
        x = self.pair.array(self.position)
        return max(norm(x[np.isfinite(x)]), 1e-3 * math.sqrt(max(x.size, 1)))

    @property
    def _flat(self) -> Array:
        return self.douts.reshape(len(self.douts), -1)

    def _taken(self, pair: Pair) -> Slope:
        f, x = pair.out_as_function_of(self.position), pair.array(self.position)
        slopes = [self.way.along(f, x, v) for v in self.moves]
        # where out is infinite, such as the logarithm of a masked probability, dout is 0
        known = np.isfinite(self.out).reshape(-1)
        return Slope(*(np.where(known, np.reshape(part, (len(slopes), -1)), 0.0)
                       for part in zip(*slopes)))

    def _along(self, gradients: Array) -> Array:
        """The slopes (K, N) that gradients (K, *x.shape) give along the moves."""
        return np.array([[np.sum(np.where(v == 0, 0.0, g) * v) for v in self.moves]
                         for g in gradients])

    def _noise(self, along: Array, scale: float) -> Array:
        """What to allow for rounding: how far a unit in the last place of x and dout moves either.

        It may be all that a gradient of zero is. backward's own is allowed up to a bound only.
        """
        rng, x = np.random.default_rng(0), self.pair.array(self.position)
        given = np.zeros(along.shape)
        for units in (5, 3, 1, 2):  # one of them alone may round as x itself does
            by = 1 + units * EPSILON * signs(x.shape, rng)
            pair = self.pair.with_input(self.position, np.where(np.isfinite(x), x * by, x))
            again = np.array([
                to_numpy(pair.gradients(dout * (1 + 2 * self.way.epsilon * signs(dout.shape, rng)))[
                    self.position]) for dout in self.douts])
            given = np.maximum(given, np.abs(self._along(again) - along))
        numeric = np.abs(self._flat @ self._taken(pair).value.T - self.numeric)
        numeric, given = (NOISE * np.where(np.isfinite(a), a, 0.0) for a in (numeric, given))
        most = max(MOST_NOISE, 1e4 * self.way.epsilon) * max(norm(self.numeric), 1e-5 * scale)
        return np.asarray(numeric.max() + np.minimum(given, most))

    @property
    def _could_be(self) -> float:
        """The length that the gradient has at other inputs of this size, or of unit size. Beside
        it all may be rounding: where a loss or an activation is saturated, or at its optimum, what
        cancels on the way is near 1."""
        f, x = self.pair.out_as_function_of(self.position), self.pair.array(self.position)
        unit = x + np.random.default_rng(7).standard_normal(x.shape)
        found = [tried(f, y, self.out.shape) for y in (-x, unit)]
        with np.errstate(all="ignore"):
            return norm(self.douts) * max(
                norm(out[np.isfinite(out)]) / size
                for out, size in zip(found, (self._length, max(self._length, norm(unit)))))


def judged(gradients: Sequence[Gradient], given: Array) -> tuple[Agreement, Gradient]:
    """The verdict on `given` by the first of several ways; the others can only prove it right."""
    first: tuple[Agreement, Gradient] | None = None
    for gradient in gradients:
        found = gradient.verdict(given), gradient
        bar = norm(gradient.taken.error)
        if found[0].verdict == "right" and (
                first is None or gradient.way.exact or bar <= SHARP * norm(gradient.taken.value)):
            return found
        first = first or found
    assert first is not None
    return first
