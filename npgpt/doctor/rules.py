"""The rules about values: zero, rounding, a factor, another input's gradient; and about their
order: every permutation, flip, cut into heads and sum of axes that a backward may forget.

A rule takes a WrongGradient and yields the Faults of its sort: those with a prediction of what
backward would return are for the reader to compare, those without are seen to hold.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm
from .fault import DIGITS, Fault, WrongGradient, close, fit
from .multiple import kind_of, near, origin, times


def not_finite(v: WrongGradient) -> Iterator[Fault]:
    """NaN or infinity."""
    if np.all(np.isfinite(v.analytic)):
        return
    count = int((~np.isfinite(v.analytic[0])).sum())
    yield Fault(
        "not-finite", f"{count} of {v.analytic.shape[1]} elements are NaN or infinite.",
        "the values themselves")


def zero(v: WrongGradient) -> Iterator[Fault]:
    """Nothing comes back."""
    if np.any(v.analytic) or not np.any(v.numeric):
        return
    yield Fault(
        "zero-gradient",
        f"backward returns only zeros for {v.name}, but moving {v.name} moves the output.",
        f"the true gradient has length {norm(v.numeric[0]):.3g}")


def float32(v: WrongGradient) -> Iterator[Fault]:
    """Right to about seven digits: some step ran in float32, and rounding is seen everywhere."""
    errors = np.abs(v.analytic - v.numeric)
    gap = norm(errors)
    size = norm(v.numeric)
    if not 1e-10 * size < gap < 3e-6 * size:
        return
    exact = bool(np.all(v.analytic == v.analytic.astype(np.float32)))
    typical = size / math.sqrt(v.numeric.size)
    small = np.all(errors <= 1e-4 * (np.abs(v.numeric) + 1e-3 * typical)) and gap < 1e-6 * size
    # one element off by 1e-6 is a wrong element; rounding leaves its dust on nearly all
    everywhere = np.mean(errors > 1e-3 * gap / size * np.abs(v.numeric)) > 0.6
    if not exact and not (small and everywhere):
        return
    if not exact and abs(fit(v.analytic, v.numeric) - 1) > 0.5 * gap / size:
        return  # a steady factor such as 1.0000003 is not rounding
    rest = "every value is one that float32 can hold" if exact else "the errors have no pattern"
    yield Fault(
        "float32",
        f"The gradient of {v.name} is right to about {-math.log10(gap / size):.0f} digits only: "
        "right up to the noise of float32, which is used somewhere on the way.",
        f"relative error {gap / size:.1e}; {rest}")


def factor(v: WrongGradient) -> Iterator[Fault]:
    """A multiple of the truth: wrong sign, a mean for a sum, or a number with a source."""
    c = fit(v.analytic, v.numeric)
    if not near(c, 1):
        yield scaled(v, c)


def scaled(v: WrongGradient, c: float) -> Fault:
    """The name for c times the true gradient."""
    evidence = (
        f"backward = {c:.9g} * the true gradient, {v.m.digits}, for {len(v.analytic)} random dout"
    )
    rows = v.m.out.size // max(1, v.m.out.shape[-1] if v.m.out.ndim else 1)
    if len(v.shape) < v.m.out.ndim and rows > 1 and near(c * rows, 1):
        kind = "mean-for-sum"
        text = f"{v.name} is used at {rows} positions and its gradient is the sum over them; " \
            "backward takes the mean."
    else:
        kind = kind_of(c)
        text = f"The gradient of {v.name} {times(c)}{origin(c, v.m)}."
    return Fault(kind, text, evidence, c * v.numeric)


def of_others(v: WrongGradient) -> Iterator[Fault]:
    """What backward would return if it gave or added the gradient of another input."""
    for other, numeric in v.m.numeric.items():
        if other == v.position or numeric.shape != v.numeric.shape:
            continue
        if close(numeric, fit(numeric, v.numeric) * v.numeric):
            continue  # such as p and t in p - t: then a wrong sign or factor is the better name
        name = v.m.subject.names[other]
        swapped = other in v.m.analytic and close(v.m.analytic[other], v.numeric)
        yield Fault(
            "another-input",
            f"The gradients of {v.name} and {name} are swapped."
            if swapped else f"This is the gradient of {name}, not of {v.name}.",
            f"it equals the true gradient of {name} {v.m.digits}",
            numeric,
            doubtful=not swapped,  # `dweight = dout.sum()` may lack a factor
        )
        yield Fault(
            "another-input",
            f"The gradient of {name} was added to that of {v.name}.",
            f"backward = true gradient of {v.name} + true gradient of {name}, {v.m.digits}",
            v.numeric + numeric,
        )


def shuffled(v: WrongGradient) -> Iterator[Fault]:
    """The slices along one axis, such as heads or rows, in another order."""
    analytic, numeric = v.cubes(v.analytic), v.cubes(v.numeric)
    for axis, size in enumerate(v.shape):
        if not 1 < size <= 32:
            continue
        order: list[int] = []
        for n in range(size):
            fits = [k for k in range(size)
                    if close(analytic.take(n, axis + 1), numeric.take(k, axis + 1))]
            order += fits[:1]
        if sorted(order) == list(range(size)) and order != sorted(order):
            yield Fault(
                "axes-swapped",
                f"Along axis {axis} the gradient of {v.name} has its parts in the order {order}: "
                "they were swapped.",
                f"each part equals another part of the true gradient {v.m.digits}",
                v.analytic,
            )


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
