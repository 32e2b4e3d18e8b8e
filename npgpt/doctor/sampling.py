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
from .evidence.fault import Fault
from .faults.multiple import times
from .faults.value_faults import list_elements

DIRECTIONS = 8
MOST = 5  # wrong elements that are searched one by one
Slope = Callable[[Array], tuple[float, float]]  # direction -> (derivative, error bar)


@dataclass(frozen=True)
class Sample:
    """A gradient and the true slopes of its input along some directions, with their error bars."""

    given: Array
    slope: Slope
    directions: list[Array]
    true: Array
    errors: Array

    def along(self, gradient: Array) -> Array:
        """The slopes that a gradient gives along the directions."""
        return np.array([along(gradient, v) for v in self.directions])

    def verdict(self, scale: float, epsilon: float = EPSILON) -> Agreement:
        """Whether the gradient agrees with the slopes.

        `scale` is the size that it could have had, against which it is measured where it is zero;
        `epsilon` the precision that the function computes in.
        """
        count = len(self.directions)
        typical = np.full(count, norm(self.true) / count**0.5)
        return agree(self.along(self.given), self.true, self.errors, typical, scale * count**0.5,
                     epsilon=epsilon)

    def worst(self) -> tuple[int, ...]:
        """The index of a wrong element."""
        if not np.all(np.isfinite(self.given)):
            return tuple(int(i) for i in np.argwhere(~np.isfinite(self.given))[0])
        gaps = np.abs(self.along(self.given) - self.true) - 5 * self.errors
        return bisect(self.given, self.slope, self.directions[int(np.argmax(gaps))])

    def at(self, index: tuple[int, ...]) -> tuple[float, float]:
        """The true derivative of one element, and its error bar."""
        direction = np.zeros(self.given.shape)
        direction[index] = 1.0
        return self.slope(direction)


def sample(given: Array, slope: Slope, rng: np.random.Generator, count: int = DIRECTIONS) -> Sample:
    """The true slopes along `count` signed random directions."""
    directions = [signs(given.shape, rng) for _ in range(count)]
    true, errors = zip(*map(slope, directions), strict=True)
    return Sample(given, slope, directions, np.array(true), np.array(errors))


def along(gradient: Array, direction: Array) -> float:
    """The slope that a gradient gives along a direction."""
    return float(np.sum(gradient * direction))


def wrong_cells(given: Array, slope: Slope, allowed: float) -> Array:
    """A mask of up to 6 by 16 cells: true where a direction in the cell shows an error."""
    rows = np.arange(given.size).reshape(-1, given.shape[-1] if given.ndim else 1)
    rng = np.random.default_rng(0)
    cells = []
    for part in np.array_split(rows, min(6, len(rows))):
        for cell in np.array_split(part, min(16, rows.shape[1]), axis=1):
            v = _only(cell.reshape(-1), signs((cell.size,), rng), given.shape)
            true, error = slope(v)
            cells.append(not abs(along(given, v) - true) <= allowed + 5 * error)
    return np.array(cells).reshape(min(6, len(rows)), -1)


def _only(places: Array, values: Array, shape: tuple[int, ...]) -> Array:
    """A direction that moves only these elements, counted in C order."""
    v = np.zeros(shape)
    v.reshape(-1)[places] = values
    return v


def bisect(given: Array, slope: Slope, direction: Array) -> tuple[int, ...]:
    """The index of a wrong element: keep halving the set that shows the larger error."""
    flat = np.arange(given.size)
    while len(flat) > 1:
        halves = flat[: len(flat) // 2], flat[len(flat) // 2 :]
        gaps = []
        for part in halves:
            v = _only(part, direction.reshape(-1)[part], given.shape)
            gap = abs(along(given, v) - slope(v)[0]) / len(part) ** 0.5
            gaps.append(gap if np.isfinite(gap) else np.inf)
        flat = halves[0] if gaps[0] >= gaps[1] else halves[1]
    return tuple(int(i) for i in np.unravel_index(int(flat[0]), given.shape))


def few_wrong(
    name: str, found: Sample, first: tuple[int, ...], rng: np.random.Generator
) -> Fault | None:
    """The wrong elements from `first` on, if there are few; else None.

    Each one found is corrected, until nothing is wrong along random directions any more.
    """
    corrected = found.given.copy()
    how: dict[tuple[int, ...], str] = {}
    index = first
    for _ in range(MOST):
        given, numeric = float(found.given[index]), found.at(index)[0]
        corrected[index] = numeric
        how[index] = times(given / numeric) if numeric else f"is {given:.6g} instead of 0"
        again = sample(corrected, found.slope, rng)
        gaps = np.abs(again.along(corrected) - again.true)
        if np.all(gaps <= WHOLE * norm(corrected) + 5 * again.errors):
            them = "it" if len(how) == 1 else "them"
            return list_elements(
                name, dict(sorted(how.items())),
                f"with {them} corrected, the rest is right along {DIRECTIONS} random directions")
        index = bisect(corrected, found.slope, again.directions[int(np.argmax(gaps))])
        if index in how:
            return None
    return None
