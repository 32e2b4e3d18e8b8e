"""Numerical derivatives, each with a statement of how far it can be trusted.

Three ways, best first:

complex step   f'(x) v = Im f(x + i h v) / h,  h = 1e-20. No subtraction, so no rounding: exact to
               the last digits, but f must be analytic and must carry complex numbers through.
Richardson     central differences at h, h/2, h/4, h/8, combined so that the errors of order h^2,
               h^4, h^6 cancel. The last two columns of the table estimate what error is left.
central        (f(x + h v) - f(x - h v)) / 2h at h = 6e-6, used when the table above does not
               converge.

A function that computes in float32 is recognised by its noise: then no complex step is tried, the
steps are wider and the error bars show how little can be seen.

A complex step is believed only after it agreed with Richardson along a random direction: `np.abs`,
`np.var` or a hidden `.real` give a plausible and wrong answer without any warning.

Source     Squire and Trapp 1998 (complex step); Ridders 1982 (extrapolation with an error estimate)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.exceptions import ComplexWarning
from numpy.typing import NDArray

Array = NDArray[Any]
Index = tuple[int, ...]
Function = Callable[[Array], Array]
Difference = Callable[[float], tuple[Array, Array]]  # step -> (derivative, its rounding noise)

COMPLEX_STEP = "complex step"
RICHARDSON = "Richardson"
CENTRAL = "central differences"

STEP = 1e-20
EPSILON = float(np.finfo(np.float64).eps)
COARSE = 1e-11  # values that jump by more than this fraction of their size are not float64
START_STEPS = (3e-2, 3e-3, 3e-4, 3e-5, 3e-6)
WIDE_STEP = 0.3
KINK_STEPS = (3e-5, 3e-6, 3e-7)
COARSE_KINK_STEPS = (3e-2, 3e-3, 3e-4)


class NotComplex(TypeError):
    """A function lost the imaginary part of its input."""


@dataclass(frozen=True)
class Method:
    """How a derivative is taken (`name`), and in one plain phrase why this way (`why`).

    `noise` is the rounding noise of the function's values, which limits differences: a number, or
    one for each value. `epsilon` is the precision that the function computes in.
    """

    name: str
    why: str
    noise: Array | float = 0.0
    epsilon: float = EPSILON

    @property
    def coarse(self) -> bool:
        """Does the function compute in less than float64?"""
        return self.epsilon > COARSE

    @property
    def exact(self) -> bool:
        """Is it the complex step, which has no error but the last digits?"""
        return self.name == COMPLEX_STEP

    def along(
        self, f: Function, x: Array, direction: Array, enough: float = 1e-11
    ) -> tuple[Array, Array, str]:
        """(the derivative of f at x along a direction, its error bar, the way it was taken)."""
        if self.exact:
            value = complex_step(f, x, direction)
            return value, 8 * EPSILON * np.abs(value), COMPLEX_STEP
        return richardson(f, x, direction, self.noise, enough)


def complex_step(f: Function, x: Array, direction: Array) -> Array:
    """Im f(x + i h v) / h with h = 1e-20; raises where f is seen to lose the imaginary part."""
    z = x.astype(np.complex128)
    z.imag = STEP * direction
    with warnings.catch_warnings():
        warnings.simplefilter("error", ComplexWarning)
        out = np.asarray(f(z))
    if not np.iscomplexobj(out):
        raise NotComplex("the result of a complex input is not complex")
    return np.asarray(out.imag / STEP)


def richardson(
    f: Function,
    x: Array,
    direction: Array,
    noise: Array | float = 0.0,
    enough: float = 1e-11,
) -> tuple[Array, Array, str]:
    """Extrapolated central differences: (derivative, error bar, name of the way that won).

    Starts from a step of 0.03 times the size of the x that moves and tries smaller ones while the
    error bar is above `enough` of the derivative, down to where rounding is all that is left; every
    output element keeps the answer with the smallest error bar. `noise` is the noise of f's values.
    """
    size = max(1.0, float(np.max(np.abs(x[direction != 0]), initial=0.0)))
    length = max(1e-300, float(np.max(np.abs(direction), initial=0.0)))

    def difference(h: float) -> tuple[Array, Array]:
        h *= size / length
        above = np.asarray(f(x + h * direction), dtype=np.float64)
        below = np.asarray(f(x - h * direction), dtype=np.float64)
        rounding = (EPSILON * (np.abs(above) + np.abs(below)) + 4 * noise) / (2 * h)
        return (above - below) / (2 * h), rounding

    best, rounding = difference(6e-6)
    error = np.abs(best - difference(4 * 6e-6)[0]) + rounding
    error = np.where(np.isfinite(error), error, np.inf)
    way = CENTRAL
    steps = list(START_STEPS)
    while steps:
        value, new_error, rounding = _table(difference, steps.pop(0))
        better = new_error < error
        if np.mean(better | (error == 0)) > 0.5:
            way = RICHARDSON
        best, error = np.where(better, value, best), np.where(better, new_error, error)
        if norm(error) <= enough * norm(best):
            return best, error, RICHARDSON
        if len(steps) == len(START_STEPS) - 1 and norm(new_error) <= 4 * norm(rounding):
            steps = [WIDE_STEP]  # noise is all that is left, and smaller steps have more of it
    return best, error, way


def norm(a: Array) -> float:
    """The length of an array."""
    return float(np.linalg.norm(a))


def _table(difference: Difference, h: float, levels: int = 4) -> tuple[Array, Array, Array]:
    """(derivative, error bar, the part of the bar that is rounding) from four halved steps."""
    row: list[Array] = []
    rounding = np.zeros(())
    error = np.zeros(())
    for level in range(levels):
        value, rounding = difference(h / 2**level)
        fresh = [value]
        for order, older in enumerate(row, start=1):
            fresh.append(fresh[-1] + (fresh[-1] - older) / (4.0**order - 1))
        if row:
            # the distance of the newest entry to its two neighbours bounds what is left
            error = np.maximum(np.abs(fresh[-1] - fresh[-2]), np.abs(fresh[-1] - row[-1]))
        row = fresh
    return row[-1], error + 2 * rounding, 2 * rounding


def rounding_noise(f: Function, x: Array, direction: Array) -> float:
    """How far f's values jump by rounding: fourth differences, in which a smooth function cancels.

    Units of f. 1 + tanh near -1 has a noise of 1e-16 however small its values are.
    Source     Hamming 1962, chapter 6 (noise from a difference table)
    """
    jumps, values = _fourth_differences(f, x, direction, 1e-4)
    noise = float(np.sqrt(np.mean(np.square(jumps)))) if jumps.size else 0.0
    size = float(np.max(np.abs(values), initial=0.0))
    return min(noise, 1e-12 * max(size, 1.0)) if np.isfinite(noise) else 0.0


def _fourth_differences(
    f: Function, x: Array, direction: Array, h: float
) -> tuple[Array, Array]:
    """(the noise that they show, f's values) around x, in steps of h times the size of x."""
    h *= max(1.0, float(np.max(np.abs(x), initial=0.0)))
    weights = (1.0, -4.0, 6.0, -4.0, 1.0)
    values = [np.asarray(f(x + k * h * direction), dtype=np.float64) for k in range(-2, 3)]
    fourth = np.asarray(sum(w * v for w, v in zip(weights, values, strict=True)))
    return np.abs(fourth) / np.sqrt(70), values[2]


def coarse_noise(f: Function, x: Array, rng: np.random.Generator) -> tuple[Array, float] | None:
    """(noise of each value of f, its precision) where f computes in less than float64; else None.

    Values that move with x and all fit into float32 come from float32. Where the result was
    made float64 again, the noise shows it: a kink of f is in one place and grows with the step; the
    noise of rounding is everywhere and does not.
    """
    epsilon = _short_numbers(f, x, rng)
    jumps, values = _fourth_differences(f, x, signs(x.shape, rng), 3e-6)
    if not epsilon and not norm(jumps) > COARSE * norm(values):
        return None
    found = {h: _noise(f, x, rng, h) for h in (3e-5, 3e-6, 3e-7)}
    sizes = {h: float(np.median([norm(jumps) for jumps in seen])) for h, seen in found.items()}
    fraction = sizes[3e-6] / max(norm(values), 1e-300)
    if not epsilon:
        if not (COARSE < fraction < 5e-3 and sizes[3e-6] < 5 * sizes[3e-7]):
            return None
        epsilon = _epsilon_of(fraction)
    # the middle one of the places: at most a few of them have a kink among their steps
    usual = 2 * np.maximum(*(np.median(found[h], axis=0) for h in (3e-5, 3e-6)))
    return np.maximum(np.where(np.isfinite(usual), usual, 0.0), epsilon * np.abs(values)), epsilon


def _epsilon_of(noise: float) -> float:
    if 1e-9 < noise < 3e-6:
        return 2.0**-24
    return max(noise, 2.0**-11) if noise > 3e-6 else noise


def _noise(f: Function, x: Array, rng: np.random.Generator, h: float) -> list[Array]:
    """The noise of f's values at six places within 0.001 of x."""
    seen = []
    for _ in range(6):
        direction = signs(x.shape, rng)
        aside = x + rng.uniform(-1e-3, 1e-3) * direction
        seen.append(_fourth_differences(f, aside, direction, h)[0])
    return seen


def _short_numbers(f: Function, x: Array, rng: np.random.Generator) -> float:
    """The precision of f's values if all of them fit into float32 or float16, else 0.0."""
    kinds = (np.float16, np.float32)
    given = np.asarray(f(x))
    if given.dtype in kinds or given.dtype == np.complex64:
        return float(np.finfo(given.dtype).eps) / 2
    places = [x + rng.uniform(-1e-2, 1e-2) * signs(x.shape, rng) for _ in range(4)]
    values = np.array([np.asarray(f(place), dtype=np.float64) for place in places])
    values = np.sort(values.reshape(4, -1), axis=0)
    moving = values[:, (np.diff(values, axis=0) > 0).all(axis=0)]  # a jump has two values only
    if not moving.size:
        return 0.0
    for kind in kinds:
        if np.array_equal(moving.astype(kind), moving):
            return float(np.finfo(kind).eps) / 2
    return 0.0


def precision_name(epsilon: float) -> str:
    """float32 for 6e-8, and so on; else what the noise is."""
    if 1e-9 < epsilon < 3e-6:
        return "float32"
    return "float16" if epsilon >= 3e-6 else f"numbers with a noise of {epsilon:.0e}"


def choose_method(f: Function, x: Array, rng: np.random.Generator) -> Method:
    """Complex step if f carries it and Richardson agrees along a random direction, else that."""
    direction = signs(x.shape, rng)
    coarse = coarse_noise(f, x, rng)
    if coarse:
        word = precision_name(coarse[1])
        return Method(RICHARDSON, f"the function computes in {word}", *coarse)
    noise = rounding_noise(f, x, direction)
    try:
        exact = complex_step(f, x, direction)
    except Exception as reason:  # whatever a user's function does with a complex number
        text = " ".join(str(reason).split())[:90]
        return Method(RICHARDSON, f"a complex input is not carried through ({text})", noise)
    value, error, _ = richardson(f, x, direction, noise)
    if exact.shape != value.shape:
        return Method(RICHARDSON, "a complex input changes the shape of the result", noise)
    gap = norm(exact - value)
    allowed = 10 * norm(error) + 1e-9 * norm(value)
    trusted = norm(error) <= 1e-3 * norm(value) + 1e-9
    if gap <= allowed and (trusted or gap <= 1e-12):
        return Method(
            COMPLEX_STEP, "analytic: agrees with Richardson along a random direction", noise
        )
    return Method(RICHARDSON, "not analytic: a complex step disagrees with Richardson", noise)


def unit_directions(shape: tuple[int, ...]) -> Iterable[Array]:
    """The directions that move one element by one, in C order."""
    return (row.reshape(shape) for row in np.eye(math.prod(shape)))


def signs(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Random entries +-(0.5 to 1.5): no element can hide, and no two cancel exactly.

    As a dout they see what a sum-loss (all ones) does not: softmax gives it a gradient of zeros.
    """
    return np.asarray(rng.uniform(0.5, 1.5, shape) * (rng.integers(0, 2, shape) * 2.0 - 1.0))


def find_kinks(
    f: Function, x: Array, noise: Array | float = 0.0, coarse: bool = False
) -> Array:
    """A mask of the elements of x at which, or within 3e-5 of which, f has a kink: its slope jumps.

    On a smooth curve the gap between the slopes to the right and to the left shrinks with the step.
    On a kink it stays, and beside a kink it vanishes all at once. Farther away a difference with a
    small step does not reach it. In a `coarse` f only kinks within 0.03 are above the noise.
    """
    found = np.zeros(x.shape, dtype=bool)
    middle = np.asarray(f(x), dtype=np.float64)
    for index, direction in enumerate(unit_directions(x.shape)):
        scale = max(1.0, float(np.abs(x.reshape(-1)[index])))
        gaps = []
        size = floor = 0.0
        for h in COARSE_KINK_STEPS if coarse else KINK_STEPS:
            h *= scale
            right = (np.asarray(f(x + h * direction), dtype=np.float64) - middle) / h
            left = (middle - np.asarray(f(x - h * direction), dtype=np.float64)) / h
            gap = np.abs(right - left)
            if np.all(np.isfinite(gap)):  # else f ends there, which is not a kink
                gaps.append((h, gap))
                size = float(np.max(np.abs(right) + np.abs(left), initial=0.0))
                floor = float(np.max(1e-8 * np.abs(middle) + 16 * noise / h, initial=0.0))
        jumps = [
            float(np.max(np.abs(b - a * (k / h)), initial=0.0))
            for (h, a), (k, b) in zip(gaps, gaps[1:], strict=False)
        ]
        if max(jumps, default=0.0) > max(0.02 * size + floor, 1e-6):
            found.reshape(-1)[index] = True
    return found
