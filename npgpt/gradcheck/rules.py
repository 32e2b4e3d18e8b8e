"""The rules about values: sign, factor, transposed, another input's, zero, rounding, masks.

Each rule takes a View and gives an Explanation if its fault predicts what backward said, else None.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from .numeric import Array
from .origin import origin
from .view import Explanation, View, close, fit


def not_finite(v: View) -> Explanation | None:
    """NaN or infinity."""
    if np.all(np.isfinite(v.said)):
        return None
    count = int((~np.isfinite(v.said[0])).sum())
    return Explanation(
        "not-finite",
        f"{count} of {v.said.shape[1]} elements are NaN or infinite.",
        "the values themselves",
    )


def zero(v: View) -> Explanation | None:
    """Nothing comes back."""
    if np.any(v.said) or not np.any(v.true):
        return None
    return Explanation(
        "zero-gradient",
        f"backward returns only zeros for {v.name}, but moving {v.name} moves the output.",
        f"the true gradient has length {np.linalg.norm(v.true[0]):.3g}",
    )


def float32(v: View) -> Explanation | None:
    """Right to about seven digits: some step ran in float32, and rounding is seen everywhere."""
    errors = np.abs(v.said - v.true)
    gap = float(np.linalg.norm(errors))
    size = float(np.linalg.norm(v.true))
    if not 1e-10 * size < gap < 3e-6 * size:
        return None
    exact = bool(np.all(v.said == v.said.astype(np.float32)))
    typical = size / math.sqrt(v.true.size)
    small = np.all(errors <= 1e-4 * (np.abs(v.true) + 1e-3 * typical)) and gap < 1e-6 * size
    # one element off by 1e-6 is a wrong element; rounding leaves its dust on nearly all
    everywhere = np.mean(errors > 1e-3 * gap / size * np.abs(v.true)) > 0.6
    if not exact and not (small and everywhere):
        return None
    slope = fit(v.said, v.true)
    if not exact and abs(slope - 1) > 0.5 * gap / size:
        return None  # a steady factor such as 1.0000003 is not rounding
    rest = "every value is one that float32 can hold" if exact else "the errors have no pattern"
    return Explanation(
        "float32",
        f"The gradient of {v.name} is right to about {-math.log10(gap / size):.0f} digits only: "
        "right up to the noise of float32, which is used somewhere on the way.",
        f"relative error {gap / size:.1e}; {rest}",
    )


def factor(v: View) -> Explanation | None:
    """A multiple of the truth: wrong sign, a mean for a sum, or a number with a source."""
    c = fit(v.said, v.true)
    if not close(v.said, c * v.true) or abs(c - 1) < 1e-7:
        return None
    return scaled(v, c)


def scaled(v: View, c: float) -> Explanation:
    """The name for c times the true gradient."""
    evidence = (
        f"backward = {c:.9g} * the true gradient, to eight digits, for {len(v.said)} random dout"
    )
    predicted = c * v.true
    if abs(c + 1) < 1e-7:
        return Explanation(
            "wrong-sign", f"The gradient of {v.name} has the wrong sign.", evidence, predicted)
    rows = v.m.out.size // max(1, v.m.out.shape[-1] if v.m.out.ndim else 1)
    summed = len(v.shape) < v.m.out.ndim
    if summed and rows > 1 and abs(c * rows - 1) < 1e-7:
        return Explanation(
            "mean-for-sum",
            f"{v.name} is used at {rows} positions and its gradient is the sum over them;"
            " backward takes the mean.",
            evidence,
            predicted,
        )
    return Explanation(
        "factor",
        f"The gradient of {v.name} is {c:.6g} times the true one{origin(c, v.m)}.",
        evidence,
        predicted,
    )


def another_input(v: View) -> Explanation | None:
    """The gradient that belongs to another input, alone or added."""
    return next((one for one in of_others(v) if close(v.said, _predicted(one))), None)


def of_others(v: View) -> Iterator[Explanation]:
    """What backward would say if it gave or added the gradient of another input."""
    for other, true in v.m.numeric.items():
        if other == v.position or true.shape != v.true.shape:
            continue
        if close(true, fit(true, v.true) * v.true):
            continue  # such as p and t in p - t: then a wrong sign or factor says it better
        name = v.m.subject.names[other]
        both = other in v.m.analytic and close(v.m.analytic[other], v.true)
        yield Explanation(
            "another-input",
            (
                f"The gradients of {v.name} and {name} are swapped."
                if both
                else f"This is the gradient of {name}, not of {v.name}."
            ),
            f"it equals the true gradient of {name} to eight digits",
            true,
        )
        yield Explanation(
            "another-input",
            f"The gradient of {name} was added to that of {v.name}.",
            f"backward = true gradient of {v.name} + true gradient of {name}, to eight digits",
            v.true + true,
        )


def permuted(v: View) -> Explanation | None:
    """Transposed, axes swapped, an axis backwards, or reshaped where it should be transposed."""
    return next((one for one in rearranged(v) if close(v.said, _predicted(one))), None)


def rearranged(v: View) -> Iterator[Explanation]:
    """What backward would say with its axes permuted, flipped, or mixed as heads are."""
    true, shape = v.cubes(v.true), v.shape
    for order in itertools.permutations(range(len(shape))):
        if list(order) == sorted(order):
            continue
        moved = true.transpose(0, *(axis + 1 for axis in order))
        last_two = order[:-2] == tuple(range(len(shape) - 2))
        same = moved.shape == true.shape
        how = "." if same else ", pressed into shape by a reshape: transpose back, then reshape."
        yield Explanation(
            "transposed" if same and last_two else "axes-swapped",
            f"The gradient of {v.name} has its axes in the order {order}"
            + (": it is transposed." if same and last_two else how),
            "the true gradient with its axes so moved equals what backward returned",
            moved.reshape(len(true), -1),
        )
    for axis in range(len(shape)):
        if shape[axis] > 1:
            yield Explanation(
                "axes-swapped",
                f"Axis {axis} of the gradient of {v.name} runs backwards.",
                "the true gradient, flipped, equals what backward returned",
                np.flip(true, axis + 1).reshape(len(true), -1),
            )
    yield from _heads(v)


def _heads(v: View) -> Iterator[Explanation]:
    """An axis of C channels is really H heads of D, and heads were mixed with another axis."""
    true = v.cubes(v.true)
    for axis, size in enumerate(v.shape):
        for heads in range(2, size):
            if size % heads:
                continue
            split = v.shape[:axis] + (heads, size // heads) + v.shape[axis + 1 :]
            parts = true.reshape(len(true), *split)
            for a, b in itertools.combinations(range(len(split)), 2):
                yield Explanation(
                    "axes-swapped",
                    f"In the gradient of {v.name}, axis {axis} of {size} was cut into {heads}"
                    f" heads of {size // heads}, and axes {a} and {b} of {split} were swapped.",
                    "the true gradient so rearranged equals what backward returned",
                    parts.swapaxes(a + 1, b + 1).reshape(len(true), -1),
                )


def shuffled(v: View) -> Explanation | None:
    """The slices along one axis, such as heads or rows, in another order."""
    said, true = v.cubes(v.said), v.cubes(v.true)
    for axis, size in enumerate(v.shape):
        if not 1 < size <= 32:
            continue
        order: list[int] = []
        for n in range(size):
            fits = [k for k in range(size)
                    if close(said.take(n, axis + 1), true.take(k, axis + 1))]
            order += fits[:1]
        if sorted(order) == list(range(size)) and order != sorted(order):
            return Explanation(
                "axes-swapped",
                f"Along axis {axis} the gradient of {v.name} has its parts in the order {order}: "
                "they were swapped.",
                "each part equals another part of the true gradient to eight digits",
                v.said,
            )
    return None


def _predicted(one: Explanation) -> Array:
    assert one.predicted is not None
    return one.predicted
