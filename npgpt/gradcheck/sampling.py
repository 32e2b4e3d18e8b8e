"""Tensors too large to move element by element: signed random directions, then bisection.

Along a direction v whose entries are all about +-1 every element of the gradient counts in full,
and one wrong element shows as +-its error. The tolerance is a fixed fraction of the gradient's own
length plus the error bars; it does not grow with the size of the tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .compare import BLUNT, ROUNDING, WHOLE, ZERO
from .multiple import plain
from .numeric import EPSILON, Array, Index, norm, signs

DIRECTIONS = 8
Slope = Callable[[Array], tuple[float, float]]  # direction -> (derivative, error bar)


@dataclass(frozen=True)
class Sample:
    """Verdict on a large tensor; `index` is the worst element found if it is wrong.

    `factor`: the multiple of the truth that it is along every direction; `cells`: where it is wrong
    if it is no multiple; `scale`: what its length could have been, over what it is.
    """

    error: float
    tolerance: float
    ok: bool
    zero: bool = False
    index: Index | None = None
    analytic: float | None = None
    numeric: float | None = None
    error_bar: float | None = None
    factor: float | None = None
    cells: Array | None = None
    scale: float = 0.0
    noisy: bool = False

    @property
    def undecided(self) -> bool:
        """Right as far as is known, but so little is known that an error of 1 % could pass."""
        return self.ok and self.tolerance > max(BLUNT, ROUNDING * self.scale)


def sample(
    analytic: Array,
    slope: Slope,
    scale: float,
    rng: np.random.Generator,
    epsilon: float = EPSILON,
    count: int = DIRECTIONS,
    locate: bool = True,
) -> Sample:
    """Compare `analytic` with the true derivative along signed random directions; bisect on
    failure.

    `slope(v)` gives the true derivative along v (of analytic's shape) and its error bar; `scale` is
    the size that the gradient could have had, against which it is measured where it is zero;
    `epsilon` the precision that the function computes in; `count` the number of directions. Without
    `locate` the verdict is all that is given.
    """
    relative = WHOLE if epsilon <= EPSILON else max(WHOLE, 100 * epsilon)
    if not np.all(np.isfinite(analytic)):
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(analytic))[0])
        return _located(Sample(float("inf"), WHOLE, False), analytic, slope, index)
    directions = [signs(analytic.shape, rng) for _ in range(count)]
    given = np.array([_along(analytic, v) for v in directions])
    true, errors = (np.array(column) for column in zip(*map(slope, directions), strict=True))
    length = norm(true) / count**0.5
    zero = bool(length <= ZERO * scale)
    unit = (scale if zero else length) or 1.0
    gaps = np.abs(given - true)
    error = norm(gaps) / count**0.5 / unit
    allowed = relative * unit + 5 * errors
    tolerance = float(allowed.max() / unit)
    right = bool(np.isfinite(error) and np.all(gaps <= allowed))
    result = Sample(error, tolerance, right, zero, scale=scale / unit)
    if right or not locate:
        return result
    worst = int(np.argmax(np.where(np.isfinite(gaps), gaps - allowed, np.inf)))
    index = bisect(analytic, slope, directions[worst])
    ratio = float(given @ true) / max(float(true @ true), 1e-300)
    digits = max(1e-8, tolerance if epsilon > EPSILON else 0.0)
    if epsilon > EPSILON and abs(ratio - plain(ratio)) <= digits:
        ratio = float(plain(ratio))
    if norm(given - ratio * true) <= digits * norm(given):
        result = replace(result, factor=None if zero else ratio)
    else:
        result = replace(result, cells=wrong_cells(analytic, slope, relative * unit))
    return _located(result, analytic, slope, index)


def _along(analytic: Array, direction: Array) -> float:
    return float(np.sum(analytic * direction))


def _located(result: Sample, analytic: Array, slope: Slope, index: Index) -> Sample:
    """The verdict with the values at one element."""
    direction = np.zeros(analytic.shape)
    direction[index] = 1.0
    numeric, error = slope(direction)
    return replace(
        result, index=index, analytic=float(analytic[index]), numeric=numeric, error_bar=error)


def wrong_cells(analytic: Array, slope: Slope, allowed: float) -> Array:
    """A mask of up to 6 by 16 cells: true where a direction in the cell shows an error."""
    rows = np.arange(analytic.size).reshape(-1, analytic.shape[-1] if analytic.ndim else 1)
    rng = np.random.default_rng(0)
    cells = []
    for part in np.array_split(rows, min(6, len(rows))):
        for cell in np.array_split(part, min(16, rows.shape[1]), axis=1):
            v: Array = np.zeros(analytic.size)
            v[cell.reshape(-1)] = signs((cell.size,), rng)
            v = v.reshape(analytic.shape)
            true, error = slope(v)
            cells.append(not abs(_along(analytic, v) - true) <= allowed + 5 * error)
    return np.array(cells).reshape(min(6, len(rows)), -1)


def bisect(analytic: Array, slope: Slope, direction: Array) -> Index:
    """The index of a wrong element: keep halving the set that shows the larger error."""
    flat = np.arange(analytic.size)
    while len(flat) > 1:
        half, rest = flat[: len(flat) // 2], flat[len(flat) // 2 :]
        gaps = []
        for part in (half, rest):
            v: Array = np.zeros(analytic.size)
            v[part] = direction.reshape(-1)[part]
            v = v.reshape(analytic.shape)
            gap = abs(_along(analytic, v) - slope(v)[0]) / np.sqrt(len(part))
            gaps.append(gap if np.isfinite(gap) else np.inf)
        flat = half if gaps[0] >= gaps[1] else rest
    return tuple(int(i) for i in np.unravel_index(int(flat[0]), analytic.shape))
