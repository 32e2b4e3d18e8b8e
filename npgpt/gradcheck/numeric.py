"""Derivatives by numbers alone, each with a statement of how far it can be trusted.

Three ways, best first:

complex step   f'(x) v = Im f(x + i h v) / h,  h = 1e-20. No subtraction, so no rounding: exact to
               the last digits, but f must be analytic and must carry complex numbers through.
Richardson     central differences at h, h/2, h/4, h/8, combined so that the errors of order h^2,
               h^4, h^6 cancel. The last two columns of the table estimate what error is left.
central        (f(x + h v) - f(x - h v)) / 2h at h = 6e-6, kept when the table above does not
               converge.

A complex step is believed only after it agreed with Richardson along a random direction: `np.abs`,
`np.var` or a hidden `.real` give a plausible and wrong answer without any warning.

Source     Squire and Trapp 1998 (complex step); Ridders 1982 (extrapolation with an error estimate)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.exceptions import ComplexWarning
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], Array]

COMPLEX_STEP = "complex step"
RICHARDSON = "Richardson"
CENTRAL = "central differences"

STEP = 1e-20
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Method:
    """How a derivative is taken (`name`), and in one plain phrase why this way (`why`).

    `grain` is the rounding noise of the function's values, which limits differences.
    """

    name: str
    why: str
    grain: float = 0.0


@dataclass(frozen=True)
class Derivative:
    """Directional derivatives `values` (directions, *out.shape), and `error` bars of that shape."""

    values: Array
    error: Array
    method: Method


def complex_step(f: Function, x: Array, direction: Array) -> Array:
    """Im f(x + i h v) / h with h = 1e-20; raises where f is seen to lose the imaginary part."""
    z = x.astype(np.complex128)
    z.imag = STEP * direction
    with warnings.catch_warnings():
        warnings.simplefilter("error", ComplexWarning)
        out = np.asarray(f(z))
    if not np.iscomplexobj(out):
        raise TypeError("the result of a complex input is not complex")
    return np.asarray(out.imag / STEP)


def richardson(
    f: Function, x: Array, direction: Array, grain: float = 0.0
) -> tuple[Array, Array, str]:
    """Extrapolated central differences: (derivative, error bar, name of the way that won).

    Starts from a step of 0.03 times the size of x and tries smaller ones while the error bar is
    above 1e-11 of the derivative; every output element keeps the answer with the smallest error
    bar. `grain` is the noise of f's values, from `rounding_grain`.
    """
    size = max(1.0, float(np.max(np.abs(x), initial=0.0)))
    length = max(1e-300, float(np.max(np.abs(direction), initial=0.0)))
    best, error = _central(f, x, direction, 6e-6 * size / length, grain)
    error = np.where(np.isfinite(error), error, np.inf)
    way = CENTRAL
    for start in (3e-2, 3e-3, 3e-4):
        value, bar = _table(f, x, direction, start * size / length, grain)
        better = bar < error
        if np.all(better | (error == 0)):
            way = RICHARDSON
        best, error = np.where(better, value, best), np.where(better, bar, error)
        if float(np.linalg.norm(error)) <= 1e-11 * float(np.linalg.norm(best)):
            return best, error, RICHARDSON
    return best, error, way


def _difference(
    f: Function, x: Array, direction: Array, h: float, grain: float
) -> tuple[Array, Array]:
    above = np.asarray(f(x + h * direction), dtype=np.float64)
    below = np.asarray(f(x - h * direction), dtype=np.float64)
    rounding = (EPSILON * (np.abs(above) + np.abs(below)) + 4 * grain) / (2 * h)
    return (above - below) / (2 * h), rounding


def _central(
    f: Function, x: Array, direction: Array, h: float, grain: float
) -> tuple[Array, Array]:
    fine, rounding = _difference(f, x, direction, h, grain)
    coarse, _ = _difference(f, x, direction, 4 * h, grain)
    return fine, np.abs(fine - coarse) + rounding


def _table(
    f: Function, x: Array, direction: Array, h: float, grain: float, levels: int = 4
) -> tuple[Array, Array]:
    row: list[Array] = []
    rounding = np.zeros(())
    error = np.zeros(())
    for level in range(levels):
        value, rounding = _difference(f, x, direction, h / 2**level, grain)
        fresh = [value]
        for order, older in enumerate(row, start=1):
            fresh.append(fresh[-1] + (fresh[-1] - older) / (4.0**order - 1))
        if row:
            # the distance of the newest entry to its two neighbours bounds what is left
            error = np.maximum(np.abs(fresh[-1] - fresh[-2]), np.abs(fresh[-1] - row[-1]))
        row = fresh
    return row[-1], error + 2 * rounding


def rounding_grain(f: Function, x: Array, direction: Array) -> float:
    """How far f's values jump by rounding: fourth differences, in which a smooth function cancels.

    Units of f. 1 + tanh near -1 has a grain of 1e-16 however small its values are.
    Source     Hamming 1962, chapter 6 (noise from a difference table)
    """
    h = 1e-4 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
    weights = (1.0, -4.0, 6.0, -4.0, 1.0)
    values = [np.asarray(f(x + k * h * direction), dtype=np.float64) for k in range(-2, 3)]
    fourth = sum(w * v for w, v in zip(weights, values, strict=True))
    grain = float(np.sqrt(np.mean(np.square(fourth)) / 70)) if np.size(fourth) else 0.0
    size = float(np.max(np.abs(values[2]), initial=0.0))
    return min(grain, 1e-12 * max(size, 1.0)) if np.isfinite(grain) else 0.0


def choose_method(f: Function, x: Array, rng: np.random.Generator) -> Method:
    """Complex step if f carries it and Richardson agrees along a random direction, else that."""
    direction = signs(x.shape, rng)
    grain = rounding_grain(f, x, direction)
    try:
        exact = complex_step(f, x, direction)
    except Exception as reason:  # whatever a stranger's function does with a complex number
        text = " ".join(str(reason).split())[:90]
        return Method(RICHARDSON, f"a complex input is not carried through ({text})", grain)
    value, error, _ = richardson(f, x, direction, grain)
    if exact.shape != value.shape:
        return Method(RICHARDSON, "a complex input changes the shape of the result", grain)
    gap = float(np.linalg.norm(exact - value))
    allowed = 10 * float(np.linalg.norm(error)) + 1e-9 * float(np.linalg.norm(value))
    trusted = float(np.linalg.norm(error)) <= 1e-3 * float(np.linalg.norm(value)) + 1e-9
    if gap <= allowed and (trusted or gap <= 1e-12):
        return Method(
            COMPLEX_STEP, "analytic: agrees with Richardson along a random direction", grain
        )
    return Method(RICHARDSON, "not analytic: a complex step disagrees with Richardson", grain)


def derivative(f: Function, x: Array, directions: Iterable[Array], method: Method) -> Derivative:
    """The derivative of f at x along each of `directions`, by the given method."""
    values, errors = [], []
    ways = set()
    for direction in directions:
        if method.name == COMPLEX_STEP:
            value = complex_step(f, x, direction)
            error = 8 * EPSILON * np.abs(value)
        else:
            value, error, way = richardson(f, x, direction, method.grain)
            ways.add(way)
        values.append(value)
        errors.append(error)
    if ways == {CENTRAL}:
        method = Method(CENTRAL, method.why + "; extrapolation does not converge")
    return Derivative(np.array(values), np.array(errors), method)


def unit_directions(shape: tuple[int, ...]) -> Iterable[Array]:
    """The directions that move one element by one, in C order."""
    for index in range(int(np.prod(shape, dtype=np.int64))):
        direction = np.zeros(shape)
        direction.reshape(-1)[index] = 1.0
        yield direction


def signs(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Random entries +-(0.5 to 1.5): no element can hide, and no two cancel exactly."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * (rng.integers(0, 2, shape) * 2.0 - 1.0))


def find_kinks(f: Function, x: Array, limit: int = 512) -> Array:
    """A mask of the elements of x at which, or within 0.001 of which, f bends: its slope jumps.

    On a smooth curve the gap between the slopes to the right and to the left shrinks with the step.
    On a bend it stays, and beside a bend it vanishes all at once.
    """
    found = np.zeros(x.shape, dtype=bool)
    middle = np.asarray(f(x), dtype=np.float64)
    for index, direction in enumerate(unit_directions(x.shape)):
        if index >= limit:
            break
        gaps, size = [], 0.0
        for h in (1e-3, 1e-4, 1e-5, 1e-6):
            right = (np.asarray(f(x + h * direction), dtype=np.float64) - middle) / h
            left = (middle - np.asarray(f(x - h * direction), dtype=np.float64)) / h
            gaps.append(np.abs(right - left))
            size = float(np.max(np.abs(right) + np.abs(left), initial=0.0))
        jumps = [
            np.max(np.abs(b - a / 10), initial=0.0) for a, b in zip(gaps, gaps[1:], strict=False)
        ]
        noise = 1e-8 * float(np.max(np.abs(middle), initial=0.0))
        if max(jumps) > 0.02 * size + noise and max(jumps) > 1e-6:
            found.reshape(-1)[index] = True
    return found
