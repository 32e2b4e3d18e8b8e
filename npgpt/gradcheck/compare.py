"""The true gradient of one input, and when a given one agrees with it.

All tolerances stand here; none grows with the size of a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import Array
from .numeric import EPSILON, Slope, Way, norm, signs
from .pair import Pair, to_numpy

WHOLE = 1e-10       # of the whole gradient's length: a complex step has 15 digits, Richardson 11
ELEMENT = 1e-8      # of an element's own sum of |dout| |d out/dx|: one wrong in a million shows
SMALL = 1e-12       # of the whole length: elements far smaller than their neighbours are rounding
FLOOR = 1e-13       # of what the gradient could have been, ||dout|| ||out|| / ||x||: rounding too
BARS = 5.0          # times the numeric error bar
NOISE = 30.0        # times what rounding was seen to move; backward's own at most MOST_NOISE
MOST_NOISE = 1e-6   # of the whole length: a backward that cancels (a saturated softmax) does lose
SHARP = 1e-6        # an error bar above this fraction of a gradient has no second opinion
BLUNT = 1e-2        # an error that could be so large and still pass: nothing is proven


@dataclass(frozen=True)
class Agreement:
    """The verdict, "right", "wrong" or "undecided"; relative error; what is allowed; which differ.

    `zero`: the true gradient is zero up to rounding, and errors are relative to what it could be.
    `noisy`: rounding alone could be a larger part of it than a millionth.
    """

    verdict: str
    error: float
    tolerance: float
    wrong: Array
    zero: bool = False
    noisy: bool = False


def agree(
    given: Array, numeric: Array, error_bar: Array, reach: Array, scale: float,
    epsilon: float = EPSILON, noise: Array | float = 0.0, spread: Array | float = 0.0,
) -> Agreement:
    """Compare two gradients of one shape.

    `reach` is each element's sum of |dout| |d out/d x|, `scale` the length that the gradient could
    have had, `epsilon` forward's precision, `noise` what rounding may move, `spread` how far the
    slopes of a kink's two sides are from the middle between them.
    """
    # what the checker cannot measure accuses nobody, but a NaN from backward is never right
    known = np.isfinite(numeric) & np.isfinite(error_bar)
    numeric, bar, reach = (np.where(known, a, 0.0) for a in (numeric, error_bar, reach))
    gap = np.where(np.isfinite(given), np.maximum(np.abs(given - numeric) - spread, 0.0), np.inf)
    gap = np.where(known | np.isnan(given), gap, 0.0)
    length = norm(numeric)
    floor = max(FLOOR, 10 * epsilon) * scale + noise + np.zeros(gap.shape)
    allowed = (max(ELEMENT, 1000 * epsilon) * reach + max(SMALL, 10 * epsilon) * length
               + BARS * bar + floor)
    bound = max(WHOLE, 100 * epsilon) * length + BARS * norm(bar) + norm(floor)
    wrong, zero = gap > allowed, bool(length <= norm(floor))
    unit = max(length, norm(floor) / WHOLE * zero) or 1.0
    if norm(gap) > bound or wrong.any():
        wrong = wrong if wrong.any() else gap >= 0.5 * gap.max()
        return Agreement("wrong", norm(gap) / unit, bound / unit, wrong, zero)
    usual = np.maximum(np.abs(numeric), unit / max(gap.size, 1) ** 0.5)
    blunt = ~known | (BARS * bar > np.maximum(BLUNT * usual, 1e-9 * scale))
    noisy = not zero and epsilon <= EPSILON and bool(
        np.any(noise) or norm(floor) > MOST_NOISE * length)
    return Agreement("undecided" if blunt.any() else "right", norm(gap) / unit, bound / unit,
                     wrong, zero, noisy)


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
        x, along, size = self.pair.array(self.position), self._along(given), np.abs(self._flat)
        length = max(norm(x[np.isfinite(x)]), 1e-3 * max(x.size, 1) ** 0.5)
        scale = norm(self.douts) * norm(self.out[np.isfinite(self.out)]) / length

        def compared(noise: Array | float = 0.0) -> Agreement:
            value, error, spread = self.taken
            return agree(along, self.numeric, size @ error.T, size @ np.abs(value).T, scale,
                         self.way.epsilon, noise, size @ spread.T)

        found = compared()
        return compared(self._noise(along, scale)) if found.verdict == "wrong" else found

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
        by = 1 + 2 * EPSILON * signs(x.shape, rng)
        pair = self.pair.with_input(self.position, np.where(np.isfinite(x), x * by, x))
        again = np.array([
            to_numpy(pair.gradients(dout * (1 + 2 * self.way.epsilon * signs(dout.shape, rng)))[
                self.position]) for dout in self.douts])
        numeric = np.abs(self._flat @ self._taken(pair).value.T - self.numeric)
        given = np.abs(self._along(again) - along)
        numeric, given = (NOISE * np.where(np.isfinite(a), a, 0.0) for a in (numeric, given))
        most = max(MOST_NOISE, 1e4 * self.way.epsilon) * max(norm(self.numeric), 1e-5 * scale)
        return np.asarray(numeric.max() + np.minimum(given, most))


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
