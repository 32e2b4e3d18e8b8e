"""Empty axes and axes of length one: the sizes at which a forgotten special case shows."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from .kinks import step_around
from .measure import measure, random_dout
from .numeric import Array
from .report import Finding
from .subject import Subject


def sizes(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """Shrink each axis to 1 (the first one also to 0); where forward works, so must backward.

    Axes of equal length in several inputs are taken for the same axis and shrink together. Only the
    batch is tried empty: a layer without channels is nobody's wish.
    """
    if _holds_arrays(subject.forward):
        return []
    whole = subject.run()[0].shape
    arrays = [a for a in subject.inputs if a is not None and a.ndim > 1]
    batch = arrays[0].shape[0] if arrays else 0
    lengths = sorted({n for a in subject.inputs if a is not None for n in a.shape if n > 1})
    for length in lengths:
        for size in (1, 0) if length == batch else (1,):
            small = subject.with_inputs(
                tuple(None if a is None else _shrunk(a, length, size) for a in subject.inputs)
            )
            small, _ = step_around(small, rng)
            expected = tuple(size if n == length else n for n in whole)
            finding = _examine(small, size, expected, rng)
            if finding:
                return [finding]
    return []


def _shrunk(a: Array, length: int, size: int) -> Array:
    for axis, n in enumerate(a.shape):
        if n == length:
            a = a.take(range(size), axis)
    return a


def _holds_arrays(forward: Any) -> bool:
    """Does forward use arrays from outside, which cannot shrink with its inputs?"""
    try:
        outside = inspect.getclosurevars(forward)
    except TypeError:  # no plain function: nothing is known about it
        return True
    values = [*outside.nonlocals.values(), *outside.globals.values()]
    return any(isinstance(value, np.ndarray) for value in values)


def _examine(
    small: Subject, size: int, expected: tuple[int, ...], rng: np.random.Generator
) -> Finding | None:
    shapes = ", ".join(str(np.shape(a)) for a in small.inputs if a is not None)
    try:
        out, _ = small.run()
    except Exception:  # forward declines such an input, which is its right
        return None
    if out.shape != expected or not np.all(np.isfinite(out)):
        return None  # something inside has its own size and was broadcast against the inputs
    kind = "size-0" if size == 0 else "size-1"
    try:
        grads = small.gradients(random_dout(out.shape, rng))
    except ZeroDivisionError:
        return None  # a mean over nothing: forward only got away with it
    except Exception as error:
        return Finding(
            kind,
            "",
            f"For inputs of shape {shapes} forward works, but backward raises "
            f"{type(error).__name__}: {error}",
        )
    for i in small.floats:
        shape = small.shape(i)
        given: Any = grads[i] if i < len(grads) else None
        if np.shape(given) != shape:
            return Finding(
                kind,
                small.names[i],
                f"For inputs of shape {shapes} the gradient of {small.names[i]} has shape "
                f"{np.shape(given)} instead of {shape}.",
            )
    if any(small.array(i).size > 256 for i in small.floats):
        return None
    measured = measure(small, rng, [i for i in small.floats if small.array(i).size])
    for i in measured.wrong:
        return Finding(
            kind,
            small.names[i],
            f"For inputs of shape {shapes} the gradient of {small.names[i]} is wrong (relative "
            f"error {measured.verdict[i].error:.1e}), though it is right at the given sizes.",
        )
    return None
