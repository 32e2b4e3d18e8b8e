"""Tensors too large to move element by element: signed random directions, then bisection.

Along a direction v whose entries are all about +-1 every element of the gradient counts in full,
and one wrong element shows as +-its error. The tolerance is a fixed share of the gradient's own
length plus the numbers' error bar; it does not grow with the size of the tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .compare import BLUNT, EPSILON, ROUNDING, WHOLE, ZERO
from .numeric import Array, signs

DIRECTIONS = 8
Slope = Callable[[Array], tuple[float, float]]  # direction -> (derivative, error bar)


@dataclass(frozen=True)
class Sample:
    """Verdict on a large tensor; `index` is the worst element found if it is wrong."""

    error: float
    tolerance: float
    ok: bool
    zero: bool = False
    index: tuple[int, ...] | None = None
    analytic: float | None = None
    numeric: float | None = None
    error_bar: float | None = None
    factor: float | None = None
    picture: str = ""
    reach: float = 0.0  # what the length of the gradient could have been, over that of the true one

    @property
    def undecided(self) -> bool:
        """Right as far as is known, but so little is known that an error of 1 % could pass."""
        return self.ok and self.tolerance > max(BLUNT, ROUNDING * self.reach)


def sample(
    analytic: Array,
    slope: Slope,
    reach: float,
    rng: np.random.Generator,
    epsilon: float = EPSILON,
    count: int = DIRECTIONS,
    locate: bool = True,
) -> Sample:
    """Compare `analytic` with the true derivative along signed random directions; bisect on
    failure.

    `slope(v)` gives the true derivative along v (of analytic's shape) and its error bar; `reach` is
    the size that the gradient could have had, the yardstick where it is zero; `epsilon` the
    precision that the function computes in; `count` the number of directions. Without `locate` the
    verdict is all that is given.
    """
    whole = WHOLE if epsilon <= EPSILON else max(WHOLE, 100 * epsilon)
    if not np.all(np.isfinite(analytic)):
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(analytic))[0])
        numeric, bar = slope(_one(analytic.shape, index))
        said_there = float(analytic[index])
        return Sample(float("inf"), WHOLE, False, False, index, said_there, numeric, bar)
    directions = [signs(analytic.shape, rng) for _ in range(count)]
    said = np.array([float(np.sum(analytic * v)) for v in directions])
    true, bars = (np.array(column) for column in zip(*(slope(v) for v in directions), strict=True))
    length = float(np.linalg.norm(true) / np.sqrt(count))
    zero = bool(length <= ZERO * reach)
    scale = (reach if zero else length) or 1.0
    gaps = np.abs(said - true)
    error = float(np.linalg.norm(gaps) / np.sqrt(count) / scale)
    allowed = whole * scale + 5 * bars
    tolerance = float(allowed.max() / scale)
    if np.isfinite(error) and bool(np.all(gaps <= allowed)):
        return Sample(error, tolerance, True, zero, reach=reach / scale)
    if not locate:
        return Sample(error, tolerance, False, zero)
    worst = int(np.argmax(np.where(np.isfinite(gaps), gaps - allowed, np.inf)))
    index = bisect(analytic, slope, directions[worst])
    numeric, bar = slope(_one(analytic.shape, index))
    ratio = float(said @ true) / max(float(true @ true), 1e-300)
    digits = max(1e-8, tolerance if epsilon > EPSILON else 0.0)
    near = round(ratio * 24) / 24
    if epsilon > EPSILON and abs(ratio - near) <= digits:
        ratio = near
    steady = (
        bool(np.linalg.norm(said - ratio * true) <= digits * np.linalg.norm(said)) or not said.any()
    )
    return Sample(
        error,
        tolerance,
        False,
        zero,
        index,
        float(analytic[index]),
        numeric,
        bar,
        ratio if steady and not zero else None,
        "" if steady else wrong_cells(analytic, slope, whole * scale),
    )


def _one(shape: tuple[int, ...], index: tuple[int, ...]) -> Array:
    direction = np.zeros(shape)
    direction[index] = 1.0
    return direction


def wrong_cells(analytic: Array, slope: Slope, allowed: float) -> str:
    """A picture of up to 6 by 16 cells: '#' where a direction in the cell shows an error."""
    rows = np.arange(analytic.size).reshape(-1, analytic.shape[-1] if analytic.ndim else 1)
    rng = np.random.default_rng(0)
    lines = []
    for part in np.array_split(rows, min(6, len(rows))):
        line = ""
        for cell in np.array_split(part, min(16, rows.shape[1]), axis=1):
            v: Array = np.zeros(analytic.size)
            v[cell.reshape(-1)] = signs((cell.size,), rng)
            v = v.reshape(analytic.shape)
            true, bar = slope(v)
            line += "." if abs(float(np.sum(analytic * v)) - true) <= allowed + 5 * bar else "#"
        lines.append(line)
    return "\n".join(lines)


def bisect(analytic: Array, slope: Slope, direction: Array) -> tuple[int, ...]:
    """The index of a wrong element: keep halving the set that shows the larger error."""
    flat = np.arange(analytic.size)
    while len(flat) > 1:
        half = flat[: len(flat) // 2]
        rest = flat[len(flat) // 2 :]
        gaps = []
        for part in (half, rest):
            v: Array = np.zeros(analytic.size)
            v[part] = direction.reshape(-1)[part]
            v = v.reshape(analytic.shape)
            gap = abs(float(np.sum(analytic * v)) - slope(v)[0]) / np.sqrt(len(part))
            gaps.append(gap if np.isfinite(gap) else np.inf)
        flat = half if gaps[0] >= gaps[1] else rest
    return tuple(int(i) for i in np.unravel_index(int(flat[0]), analytic.shape))
