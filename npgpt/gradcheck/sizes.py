"""Empty axes and axes of length one: the sizes at which a forgotten special case shows."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from .kinks import step_around
from .measure import measure, random_dout
from .numeric import Array
from .report import Finding
from .subject import CallError, Subject


def sizes(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """Shrink each axis to 1 (the first one also to 0); where forward works, so must backward.

    Axes of equal length in several inputs are taken for the same axis and shrink together. Only the
    batch is tried empty: a layer without channels is nobody's wish.
    """
    if any(holds_arrays(function) for function in subject.users):
        return []
    whole = subject.run()[0].shape
    arrays = [a for a in subject.inputs if a is not None and a.ndim > 1]
    batch = arrays[0].shape[0] if arrays else 0
    shapes = tuple(() if a is None else a.shape for a in subject.inputs)
    lengths = sorted({n for a in subject.inputs if a is not None for n in a.shape if n > 1})
    for length in lengths:
        for size in (1, 0) if length == batch else (1,):
            small = subject.cut({length: size})
            try:
                small.run()
            except CallError:  # forward rejects such an input, which is its right
                continue
            small, _ = step_around(small, rng)
            expected = tuple(size if n == length else n for n in whole)
            finding = _examine(small, size, expected, rng)
            if finding and not (size and _stretches(small, shapes, length)):
                return [finding]
    return []


def holds_arrays(function: Any, depth: int = 3) -> bool:
    """Does a function use arrays from outside, which cannot shrink with its inputs?"""
    try:
        outside = inspect.getclosurevars(function)
    except TypeError:  # not a plain function: nothing is known about it
        return True
    values = [*outside.nonlocals.values(), *outside.globals.values()]
    values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return any(
        depth > 0 and holds_arrays(value, depth - 1) if inspect.isfunction(value)
        # a module such as numpy is not data; anything else with a shape or attributes may hold some
        else not (inspect.ismodule(value) or inspect.isclass(value) or inspect.isbuiltin(value))
        and (hasattr(value, "shape") or isinstance(value, (list, tuple, dict))
             or bool(getattr(value, "__dict__", None)))
        for value in values
    )


def _stretches(small: Subject, shapes: tuple[tuple[int, ...], ...], length: int) -> bool:
    """Does forward stretch an axis of length one to a length that it has inside?

    Then it gives the same for the axis and for `length` copies of it.
    """
    copies = tuple(
        None if a is None else _copied(a, shape, length)
        for a, shape in zip(small.inputs, shapes, strict=True)
    )
    try:
        one, many = small.run()[0], small.with_inputs(copies).run()[0]
    except CallError:
        return False
    return one.shape == many.shape and bool(np.allclose(one, many, rtol=1e-9, atol=0))


def _copied(a: Array, shape: tuple[int, ...], length: int) -> Array:
    for axis, n in enumerate(shape):
        if n == length:
            a = np.repeat(a, length, axis)
    return a


def _examine(
    small: Subject, size: int, expected: tuple[int, ...], rng: np.random.Generator
) -> Finding | None:
    shapes = ", ".join(str(np.shape(a)) for a in small.inputs if a is not None)
    out, _ = small.run()
    if out.shape != expected or not np.all(np.isfinite(out)):
        return None  # something inside has its own size and was broadcast against the inputs
    kind = "size-0" if size == 0 else "size-1"
    try:
        grads = small.gradients(random_dout(out.shape, rng))
    except CallError as failed:
        if isinstance(failed.error, ZeroDivisionError):
            return None  # a mean over nothing: forward only got away with it
        return Finding(
            kind, "",
            f"For inputs of shape {shapes} forward works, but backward raises "
            f"{type(failed.error).__name__}: {failed}")
    for i in small.floats:
        shape = small.shape(i)
        given: Any = grads[i] if i < len(grads) else None
        if np.shape(given) != shape:
            return Finding(
                kind, small.names[i],
                f"For inputs of shape {shapes} the gradient of {small.names[i]} has shape "
                f"{np.shape(given)} instead of {shape}.")
    if any(small.array(i).size > 256 for i in small.floats):
        return None
    measured = measure(small, rng, [i for i in small.floats if small.array(i).size])
    for i in measured.wrong:
        return Finding(
            kind, small.names[i],
            f"For inputs of shape {shapes} the gradient of {small.names[i]} is wrong (relative "
            f"error {measured.verdict[i].error:.1e}), though it is right at the given sizes.")
    return None
