"""Rearrangements of a gradient: axes permuted, reversed, cut into heads, not summed.

There is one list of them, for gradients of the right shape and of a wrong one, small and large: a
rearrangement is undone on what backward returned, and the rest must then be the truth.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from ...arrays import Array
from ..evidence.fault import Fault, close
from ..evidence.measure import Evidence

Move = Callable[[Array], Array]


def rearranged(v: Evidence) -> Iterator[Fault]:
    """Every rearrangement that could have led to a gradient of the shape given."""
    if v.shaped:
        yield from _of_one_shape(v)
    else:
        text = f"{v.name} has shape {v.shape}, its gradient has shape {v.given.shape[1:]}"
        for kind, words, undo in _of_another_shape(v.given.shape[1:], v.shape):
            yield Fault(kind, f"{text}: {words}.", _holds(v), undo=undo)


def _holds(v: Evidence) -> str:
    what = "equals the numerical gradient" if v.m else \
        f"meets the true derivative along {v.truth.shape[1]} random directions"
    return f"so restored it {what} {v.words}"


def orders(ndim: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """Every order of axes but the plain one, each with the kind of fault that it makes."""
    for order in itertools.permutations(range(ndim)):
        if list(order) != sorted(order):
            last_two = order[:-2] == tuple(range(ndim - 2))
            yield order, "transposed" if last_two else "axes-swapped"


def _permuted(order: tuple[int, ...]) -> Move:
    axes = (0, *(axis + 1 for axis in order))
    return lambda cubes: cubes.transpose(axes)


def _reshaped(shape: tuple[int, ...]) -> Move:
    return lambda cubes: cubes.reshape(len(cubes), *shape)


def _flipped(axis: int) -> Move:
    return lambda cubes: np.flip(cubes, axis + 1)


def _swapped(a: int, b: int) -> Move:
    return lambda cubes: cubes.swapaxes(a + 1, b + 1)


def _chain(*moves: Move) -> Move:
    def chain(cubes: Array) -> Array:
        for move in moves:
            cubes = move(cubes)
        return cubes

    return chain


def _of_one_shape(v: Evidence) -> Iterator[Fault]:
    shape, gradient = v.shape, f"the gradient of {v.name}"

    def fault(kind: str, words: str, there: Move, back: Move) -> Fault:
        def predict(rows: Array) -> Array:
            return there(v.cubes(rows)).reshape(len(rows), -1)

        return Fault(kind, words[0].upper() + words[1:], _holds(v), 1, predict, back)

    for order, kind in orders(len(shape)):
        back = tuple(int(axis) for axis in np.argsort(order))
        moved = tuple(shape[axis] for axis in order)
        text = f"{gradient} has its axes in the order {order}"
        if moved == shape:
            text += ": it is transposed." if kind == "transposed" else "."
            yield fault(kind, text, _permuted(order), _permuted(back))
        else:
            text += ", forced into shape by a reshape: transpose back, then reshape."
            yield fault("axes-swapped", text, _chain(_permuted(order), _reshaped(shape)),
                        _chain(_reshaped(moved), _permuted(back)))
    for axis, size in enumerate(shape):
        if size > 1:
            text = f"axis {axis} of {gradient} runs backwards."
            yield fault("axes-swapped", text, _flipped(axis), _flipped(axis))
    # an axis of C channels is really H heads of D, and heads were mixed with another axis
    for axis, size in enumerate(shape if v.m else ()):
        for heads in (h for h in range(2, size) if size % h == 0):
            cut = shape[:axis] + (heads, size // heads) + shape[axis + 1:]
            for a, b in itertools.combinations(range(len(cut)), 2):
                other = list(cut)
                other[a], other[b] = cut[b], cut[a]
                yield fault(
                    "axes-swapped",
                    f"in {gradient}, axis {axis} of {size} was cut into {heads} heads of "
                    f"{size // heads}, and axes {a} and {b} of {cut} were swapped.",
                    _chain(_reshaped(cut), _swapped(a, b), _reshaped(shape)),
                    _chain(_reshaped(tuple(other)), _swapped(a, b), _reshaped(shape)))


def _of_another_shape(
    given: tuple[int, ...], shape: tuple[int, ...]
) -> Iterator[tuple[str, str, Move]]:
    """(kind, words, what undoes it) for a gradient of the shape `given`."""
    size, ndim = math.prod(shape), len(given)
    for order, kind in orders(ndim):
        if tuple(given[axis] for axis in order) == shape:
            transposed = kind == "transposed"
            yield kind, "it is transposed" if transposed else f"its axes are permuted by {order}", \
                _permuted(order)
    if math.prod(given) == size:
        yield "wrong-shape", "its elements are right, only their shape is not: reshape it", \
            _reshaped(shape)
    for count in range(1, ndim + 1):
        for axes in itertools.combinations(range(ndim), count):
            if math.prod(n for axis, n in enumerate(given) if axis not in axes) == size:
                def summed(cubes: Array, axes: tuple[int, ...] = axes) -> Array:
                    whole = cubes.sum(axis=tuple(axis + 1 for axis in axes))
                    return np.asarray(whole.reshape(len(cubes), *shape))

                yield (
                    "missing-broadcast-sum",
                    "it was broadcast in forward, so backward must sum over "
                    f"ax{'is' if count == 1 else 'es'} {', '.join(map(str, axes))}",
                    summed)


def shuffled(v: Evidence) -> Iterator[Fault]:
    """The slices along one axis, such as heads or rows, in another order."""
    given, truth = v.given, v.cubes(v.truth)
    for axis, size in enumerate(v.shape):
        if not 1 < size <= 32:
            continue
        order: list[int] = []
        for n in range(size):
            fits = [k for k in range(size)
                    if close(given.take(n, axis + 1), truth.take(k, axis + 1), v.digits)]
            order += fits[:1]
        if sorted(order) == list(range(size)) and order != sorted(order):
            yield Fault(
                "axes-swapped",
                f"Along axis {axis} the gradient of {v.name} has its parts in the order {order}: "
                "they were swapped.",
                f"each part equals another part of the true gradient {v.words}")
