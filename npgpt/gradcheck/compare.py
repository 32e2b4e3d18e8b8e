"""The true gradient of one input, and when a given one agrees with it.

All tolerances stand here; none grows with the size of a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import Array
from .numeric import EPSILON, Way, norm, signs
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
    epsilon: float = EPSILON, noise: Callable[[], tuple[Array, Array]] | None = None,
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
            of_numeric, of_given = (np.where(np.isfinite(a), a, 0.0) for a in noise())
            most = max(MOST_NOISE, 1e4 * digits) * max(length, 1e-5 * scale)
            floor = floor + NOISE * of_numeric.max() + np.minimum(NOISE * of_given, most)
        allowed = max(ELEMENT, 1000 * digits) * reach + BARS * bar + floor
        allowed = allowed + max(SMALL, 10 * digits) * length
        wrong = gap > allowed
        bound = relative * length + BARS * norm(bar) + norm(floor)
        if norm(gap) <= bound and not wrong.any():
            break
    zero = bool(length <= norm(floor))
    unit = max(length, norm(floor) / WHOLE * zero) or 1.0
    if norm(gap) > bound or wrong.any():
        wrong = wrong if wrong.any() else gap >= 0.5 * gap.max()
        return Agreement("wrong", norm(gap) / unit, bound / unit, wrong, zero)
    usual = np.maximum(np.abs(numeric), unit / max(gap.size, 1) ** 0.5)
    blunt = ~known | (BARS * bar > np.maximum(BLUNT * usual, 1e-9 * scale))
    verdict = "undecided" if blunt.any() else "right"
    noisy = not zero and not digits and (doubt or norm(floor) > MOST_NOISE * length)
    return Agreement(verdict, norm(gap) / unit, bound / unit, wrong, zero, noisy)


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
    def taken(self) -> tuple[Array, Array]:
        """The Jacobian (N, M) along the moves, and its error bars."""
        return self._taken(self.pair)

    @cached_property
    def numeric(self) -> Array:
        """The true slopes along the moves, for each dout: (K, N)."""
        return np.asarray(self._flat @ self.taken[0].T)

    def verdict(self, given: Array) -> Agreement:
        """Whether the gradients `given` (K, *x.shape) are right."""
        jacobian, errors = self.taken
        x, along = self.pair.array(self.position), self._along(given)
        size = np.abs(self._flat)
        free = x[np.isfinite(x)]
        length = max(norm(free), 1e-3 * max(x.size, 1) ** 0.5)
        scale = norm(self.douts) * norm(self.out[np.isfinite(self.out)]) / length

        def compared(along: Array) -> Agreement:
            return agree(along, self.numeric, size @ errors.T, size @ np.abs(jacobian).T, scale,
                         self.way.epsilon, lambda: self._noise(along))

        found = compared(along)
        kinks = found.wrong.any(axis=0)
        if found.verdict == "wrong" and all(
                self._between(along[:, n], self.moves[n]) for n in map(int, np.flatnonzero(kinks))):
            return compared(np.where(kinks, self.numeric, along))
        return found

    @property
    def _flat(self) -> Array:
        return self.douts.reshape(len(self.douts), -1)

    def _taken(self, pair: Pair) -> tuple[Array, Array]:
        f, x = pair.out_as_function_of(self.position), pair.array(self.position)
        slopes = [self.way.along(f, x, v) for v in self.moves]
        # where out is infinite, such as the logarithm of a masked probability, dout is 0
        known = np.isfinite(self.out).reshape(-1)
        jacobian = [np.where(known, slope.value.reshape(-1), 0.0) for slope in slopes]
        errors = [np.where(known, slope.error.reshape(-1), 0.0) for slope in slopes]
        return np.array(jacobian), np.array(errors)

    def _along(self, gradients: Array) -> Array:
        """The slopes (K, N) that gradients (K, *x.shape) give along the moves."""
        return np.array([[np.sum(np.where(v == 0, 0.0, g) * v) for v in self.moves]
                         for g in gradients])

    def _noise(self, along: Array) -> tuple[Array, Array]:
        """How far a unit in the last place of x and dout moves both gradients."""
        rng, x = np.random.default_rng(0), self.pair.array(self.position)
        by = 1 + 2 * EPSILON * signs(x.shape, rng)
        pair = self.pair.with_input(self.position, np.where(np.isfinite(x), x * by, x))
        again = np.array([
            to_numpy(pair.gradients(dout * (1 + 2 * self.way.epsilon * signs(dout.shape, rng)))[
                self.position]) for dout in self.douts])
        return np.abs(self._flat @ self._taken(pair)[0].T - self.numeric), np.abs(
            self._along(again) - along)

    def _between(self, given: Array, v: Array) -> bool:
        """Whether forward has a kink along v, and each slope given (K,) is made of its two sides.
        """
        f, x = self.pair.out_as_function_of(self.position), self.pair.array(self.position)
        left, right, bar = (np.where(np.isfinite(self.out), a, 0.0).reshape(-1)
                            for a in self.way.sides(f, x, v))
        sizes = np.abs(left) + np.abs(right)
        if not (np.abs(left - right) > 1e-4 * sizes + 30 * bar).any():
            return False
        ends = np.array([self._flat * left, self._flat * right])                        # (2, K, M)
        slack = np.abs(self._flat) @ (5 * bar + 1e-7 * sizes)
        low, high = ends.min(axis=0).sum(axis=1) - slack, ends.max(axis=0).sum(axis=1) + slack
        return bool(np.all((low <= given) & (given <= high)))


def judged(gradients: Sequence[Gradient], given: Array) -> tuple[Agreement, Gradient]:
    """The verdict on `given` by the first of several ways; the others can only prove it right."""
    first: tuple[Agreement, Gradient] | None = None
    for gradient in gradients:
        found = gradient.verdict(given), gradient
        bar = norm(gradient.taken[1])
        if found[0].verdict == "right" and (
                first is None or gradient.way.exact or bar <= SHARP * norm(gradient.taken[0])):
            return found
        first = first or found
    assert first is not None
    return first
