"""Rearrangements of axes: every order, flip, cut into heads and sum that a backward may forget."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from .fault import DIGITS, Fault, WrongGradient
from .multiple import near, times
from .numeric import Array, norm


def orders(ndim: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """Every order of axes but the plain one, each with the kind of fault that it makes."""
    for order in itertools.permutations(range(ndim)):
        if list(order) != sorted(order):
            last_two = order[:-2] == tuple(range(ndim - 2))
            yield order, "transposed" if last_two else "axes-swapped"


def rearranged(v: WrongGradient) -> Iterator[Fault]:
    """What backward would return with its axes permuted, flipped, or mixed as heads are."""
    numeric, shape = v.cubes(v.numeric), v.shape
    for order, kind in orders(len(shape)):
        moved = numeric.transpose(0, *(axis + 1 for axis in order))
        text = f"The gradient of {v.name} has its axes in the order {order}"
        if moved.shape != numeric.shape:
            kind = "axes-swapped"
            text += ", forced into shape by a reshape: transpose back, then reshape."
        else:
            text += ": it is transposed." if kind == "transposed" else "."
        yield _moved(kind, text, moved)
    for axis in range(len(shape)):
        if shape[axis] > 1:
            text = f"Axis {axis} of the gradient of {v.name} runs backwards."
            yield _moved("axes-swapped", text, np.flip(numeric, axis + 1))
    # an axis of C channels is really H heads of D, and heads were mixed with another axis
    for axis, size in enumerate(shape):
        for heads in (h for h in range(2, size) if size % h == 0):
            split = shape[:axis] + (heads, size // heads) + shape[axis + 1 :]
            cut = numeric.reshape(len(numeric), *split)
            for a, b in itertools.combinations(range(len(split)), 2):
                yield _moved(
                    "axes-swapped",
                    f"In the gradient of {v.name}, axis {axis} of {size} was cut into {heads} heads"
                    f" of {size // heads}, and axes {a} and {b} of {split} were swapped.",
                    cut.swapaxes(a + 1, b + 1))


def _moved(kind: str, message: str, moved: Array) -> Fault:
    return Fault(
        kind, message, "the true gradient so rearranged equals what backward returned",
        moved.reshape(len(moved), -1))


def _restored(given: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, str, Array]]:
    """(kind, words, what backward returned as it would be without this fault): the first axis of
    `given` is that of the douts, `shape` is what the rest should have."""
    rows, ndim = len(given), given.ndim - 1
    right = given.shape[1:] == shape
    for axis in range(ndim) if right else ():
        yield "axes-swapped", f"axis {axis} of it runs backwards", np.flip(given, axis + 1)
    for order, kind in orders(ndim):
        moved = given.transpose(0, *(axis + 1 for axis in order))
        if moved.shape[1:] == shape:
            transposed = kind == "transposed"
            yield kind, "it is transposed" if transposed else f"its axes are permuted by {order}", \
                moved
        if right:  # transposed, then forced into shape by a reshape
            cut = given.reshape(rows, *(shape[axis] for axis in order))
            back = cut.transpose(0, *(int(axis) + 1 for axis in np.argsort(order)))
            yield "axes-swapped", f"its axes are in the order {order}, by a reshape", back
    for count in range(1, ndim + 1) if not right else ():
        for axes in itertools.combinations(range(ndim), count):
            summed = given.sum(axis=tuple(axis + 1 for axis in axes))
            if summed.size == rows * math.prod(shape):
                yield (
                    "missing-broadcast-sum",
                    "it was broadcast in forward, so backward must sum over "
                    f"ax{'is' if count == 1 else 'es'} {', '.join(map(str, axes))}",
                    summed.reshape(rows, *shape))
    if not right and given.size == rows * math.prod(shape):
        yield "wrong-shape", "its elements are right, only their shape is not", given.reshape(
            rows, *shape)


def wrong_layout(
    name: str, shape: tuple[int, ...], given: Array,
    measured: Callable[[Array], Array], numeric: Array, evidence: str,
) -> Fault | None:
    """The rearrangement or sum, perhaps with a factor, that turned the true gradient of an input
    into what backward returned.

    `given` (K, ...) is what it returned for K douts; `measured` makes a gradient (K, *shape) what
    `numeric` holds of the true one.
    """
    text = f"The gradient of {name}"
    if given.shape[1:] != shape:
        text = f"{name} has shape {shape}, its gradient has shape {given.shape[1:]}"
    length = float(np.sum(numeric * numeric))
    for kind, words, back in _restored(given, shape):
        values = measured(back)
        if not length or not np.all(np.isfinite(values)):
            continue
        c = float(np.sum(values * numeric)) / length
        if abs(c) < 1e-12 or norm(values - c * numeric) > DIGITS * norm(values):
            continue
        factor = "" if near(c, 1) else f", and {times(c)}"
        return Fault(kind, f"{text}: {words}{factor}.", evidence)
    return None
