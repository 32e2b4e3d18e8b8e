"""What is wrong with a shape, in words: an axis, the order of the axes, a reduction left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from ...arrays import Array
from .compare import Leaves, gap, size, tolerance

Change = Callable[[Array], Array]


def shape_words(pairs: list[tuple[Array, Array]]) -> str:
    """Why the first of these (right, got) differ in shape; the others are of other inputs."""
    right, got = pairs[0]
    if object in (right.dtype, got.dtype):
        return f"it gives {got.size} items, expected {right.size}"
    shapes = f"it has shape {got.shape}, expected {right.shape}"
    for words, change in _changes(got.ndim, right.ndim):
        met = [a.ndim == right.ndim and b.ndim == got.ndim and _same(change(b), a)
               for a, b in pairs]
        if met[0]:
            return f"{shapes}: {words}" + (
                "" if all(met) else f" at {sum(met)} of the {len(met)} inputs tried")
    if got.size == right.size:
        return f"{shapes}: " + (
            "the same numbers in another order" if _same(
                np.sort(got, axis=None), np.sort(right, axis=None)) else
            "as many numbers, but not the same")
    if got.ndim == right.ndim:
        return f"{shapes}: " + ", ".join(
            f"axis {n} has length {b}, expected {a}" for n, (a, b) in enumerate(
                zip(right.shape, got.shape, strict=True)) if a != b)
    return shapes


def _changes(given: int, wanted: int) -> Iterator[tuple[str, Change]]:
    """(what is right, how a value of `given` axes is brought to `wanted`)."""
    if given == wanted < 5:
        for order in itertools.permutations(range(given)):
            yield f"its axes are in another order, transpose{order} is right", _ordered(order)
    for axes in itertools.combinations(range(given), given - wanted) if given > wanted else ():
        where = "" if not wanted else f" over axis {axes[0]}" if len(axes) == 1 else (
            f" over axes {', '.join(map(str, axes))}")
        yield f"its mean{where} is right", _reduced(axes, mean=True)
        yield f"its sum{where} is right", _reduced(axes, mean=False)


def _ordered(axes: tuple[int, ...]) -> Change:
    return lambda a: a.transpose(axes)


def _reduced(axes: tuple[int, ...], mean: bool) -> Change:
    return lambda a: np.asarray(a.mean(axes) if mean else a.sum(axes))


def _same(a: Array, b: Array) -> bool:
    left: Leaves = {"": a}
    right: Leaves = {"": b}
    return gap(left, right) <= tolerance(right) * size(right)
