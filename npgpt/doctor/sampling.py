"""Tensors too large to move element by element: signed random directions, then bisection.

Along a direction v whose entries are all about +-1 every element of the gradient counts in full,
and one wrong element shows as +-its error. So the slopes along a few directions are compared as the
elements of a small gradient are; the tolerance does not grow with the size of the tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..gradcheck.compare import WHOLE, Agreement, agree
from ..gradcheck.numeric import EPSILON, norm, signs
from .fault import Fault
from .multiple import plain, times
from .places import list_elements

DIRECTIONS = 8
MOST = 5  # wrong elements that are searched one by one
Slope = Callable[[Array], tuple[float, float]]  # direction -> (derivative, error bar)


@dataclass(frozen=True)
class Located:
    """The worst element found in a wrong gradient, with its error bar.

    `factor`: the multiple of the truth that the gradient is along every direction; `cells`: where
    it is wrong if it is not a multiple.
    """

    index: tuple[int, ...]
    analytic: float
    numeric: float
    error_bar: float
    factor: float | None = None
    cells: Array | None = None


def _slopes(
    analytic: Array, slope: Slope, directions: list[Array]
) -> tuple[Array, Array, Array]:
    """Along each direction: what backward's gradient gives, what is true, the error bar."""
    true, errors = zip(*map(slope, directions), strict=True)
    return np.array([along(analytic, v) for v in directions]), np.array(true), np.array(errors)


def along(analytic: Array, direction: Array) -> float:
    """The slope that a gradient gives along a direction."""
    return float(np.sum(analytic * direction))


def sample(
    analytic: Array, slope: Slope, scale: float, rng: np.random.Generator,
    epsilon: float = EPSILON, count: int = DIRECTIONS,
) -> Agreement:
    """Compare `analytic` with the true derivative along signed random directions.

    `slope(v)` gives the true derivative along v (of analytic's shape) and its error bar; `scale` is
    the size that the gradient could have had, against which it is measured where it is zero;
    `epsilon` the precision that the function computes in; `count` the number of directions.
    """
    directions = [signs(analytic.shape, rng) for _ in range(count)]
    given, true, errors = _slopes(analytic, slope, directions)
    typical = np.full(count, norm(true) / count**0.5)
    return agree(given, true, errors, typical, scale * count**0.5, epsilon=epsilon)


def locate(
    analytic: Array, slope: Slope, verdict: Agreement, rng: np.random.Generator,
    epsilon: float = EPSILON,
) -> Located:
    """Find a wrong element of a gradient that is wrong along random directions, by bisection."""
    if not np.all(np.isfinite(analytic)):
        return _at(analytic, slope, tuple(int(i) for i in np.argwhere(~np.isfinite(analytic))[0]))
    directions = [signs(analytic.shape, rng) for _ in range(DIRECTIONS)]
    given, true, errors = _slopes(analytic, slope, directions)
    gaps = np.abs(given - true) - 5 * errors
    index = bisect(analytic, slope, directions[int(np.argmax(gaps))])
    ratio = float(given @ true) / max(float(true @ true), 1e-300)
    digits = 1e-8
    if epsilon > EPSILON:
        digits = max(digits, verdict.tolerance)
        ratio = float(plain(ratio)) if abs(ratio - plain(ratio)) <= digits else ratio
    if norm(given - ratio * true) <= digits * norm(given):
        return _at(analytic, slope, index, None if verdict.zero else ratio)
    allowed = max(WHOLE, 100 * epsilon) * norm(true) / DIRECTIONS**0.5
    return _at(analytic, slope, index, None, wrong_cells(analytic, slope, allowed))


def _at(
    analytic: Array, slope: Slope, index: tuple[int, ...], factor: float | None = None,
    cells: Array | None = None,
) -> Located:
    direction = np.zeros(analytic.shape)
    direction[index] = 1.0
    return Located(index, float(analytic[index]), *slope(direction), factor, cells)


def wrong_cells(analytic: Array, slope: Slope, allowed: float) -> Array:
    """A mask of up to 6 by 16 cells: true where a direction in the cell shows an error."""
    rows = np.arange(analytic.size).reshape(-1, analytic.shape[-1] if analytic.ndim else 1)
    rng = np.random.default_rng(0)
    cells = []
    for part in np.array_split(rows, min(6, len(rows))):
        for cell in np.array_split(part, min(16, rows.shape[1]), axis=1):
            v = _only(cell.reshape(-1), signs((cell.size,), rng), analytic.shape)
            true, error = slope(v)
            cells.append(not abs(along(analytic, v) - true) <= allowed + 5 * error)
    return np.array(cells).reshape(min(6, len(rows)), -1)


def _only(places: Array, values: Array, shape: tuple[int, ...]) -> Array:
    """A direction that moves only these elements, counted in C order."""
    v = np.zeros(shape)
    v.reshape(-1)[places] = values
    return v


def bisect(analytic: Array, slope: Slope, direction: Array) -> tuple[int, ...]:
    """The index of a wrong element: keep halving the set that shows the larger error."""
    flat = np.arange(analytic.size)
    while len(flat) > 1:
        halves = flat[: len(flat) // 2], flat[len(flat) // 2 :]
        gaps = []
        for part in halves:
            v = _only(part, direction.reshape(-1)[part], analytic.shape)
            gap = abs(along(analytic, v) - slope(v)[0]) / len(part) ** 0.5
            gaps.append(gap if np.isfinite(gap) else np.inf)
        flat = halves[0] if gaps[0] >= gaps[1] else halves[1]
    return tuple(int(i) for i in np.unravel_index(int(flat[0]), analytic.shape))


def few_wrong(
    name: str, analytic: Array, slope: Slope, first: tuple[int, ...], rng: np.random.Generator
) -> Fault | None:
    """The wrong elements from `first` on, if there are few; else None.

    Each one found is corrected, until nothing is wrong along random directions any more.
    """
    corrected = analytic.copy()
    how: dict[tuple[int, ...], str] = {}
    index = first
    for _ in range(MOST):
        corrected[index] = _at(corrected, slope, index).numeric
        given, numeric = float(analytic[index]), float(corrected[index])
        how[index] = times(given / numeric) if numeric else f"is {given:.6g} instead of 0"
        wrong = _wrong_direction(corrected, slope, rng)
        if wrong is None:
            them = "it" if len(how) == 1 else "them"
            return list_elements(
                name, dict(sorted(how.items())),
                f"with {them} corrected, the rest is right along {DIRECTIONS} random directions")
        index = bisect(corrected, slope, wrong)
        if index in how:
            return None
    return None


def _wrong_direction(analytic: Array, slope: Slope, rng: np.random.Generator) -> Array | None:
    size = norm(analytic)
    for _ in range(DIRECTIONS):
        direction = signs(analytic.shape, rng)
        numeric, error = slope(direction)
        if abs(along(analytic, direction) - numeric) > WHOLE * size + 5 * error:
            return direction
    return None
