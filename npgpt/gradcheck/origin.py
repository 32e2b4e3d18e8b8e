"""Where a factor may come from: the sizes, their roots, the settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from .measure import Measurement


def origin(c: float, m: Measurement) -> str:
    """Where a factor may come from, as ': 8 is the size of ...', or ''."""
    for value, text in known_numbers(m):
        for scale, words in ((value, text), (1 / value, f"one over {text}")):
            if abs(c / scale - 1) < 1e-7:
                return f": that is {words}"
            if abs(c / scale + 1) < 1e-7:
                return f": that is minus {words}"
    return ""


def known_numbers(m: Measurement) -> Iterator[tuple[float, str]]:
    """Numbers that a backward could have multiplied by mistake, with their names."""
    if 2 in m.out.shape[:1]:
        yield 2.0, f"the batch (axis 0 of out {m.out.shape}), or a gradient that was added twice"
    yield 2.0, "two, as if it had been added twice"
    for name, value in m.subject.settings.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value not in (0, 1):
            yield float(value), f"the setting {name}"
            if 0 < value < 1:
                yield 1 - float(value), f"1 - {name}"
    arrays = [("out", m.out)] + [
        (n, a) for n, a in zip(m.subject.names, m.subject.inputs, strict=True) if a is not None
    ]
    for name, array in arrays:
        for axis, size in enumerate(array.shape):
            if size > 1:
                yield float(size), f"{size}, the size of axis {axis} of {name} {array.shape}"
    for name, array in arrays:
        for axis, size in enumerate(array.shape):
            if size > 1:
                yield math.sqrt(size), f"the root of {size}, axis {axis} of {name} {array.shape}"
        if array.size > 1:
            yield float(array.size), f"the number of elements of {name} {array.shape}"
        for axes in itertools.combinations(range(array.ndim), 2):
            size = array.shape[axes[0]] * array.shape[axes[1]]
            if size > 1:
                yield float(size), f"{size}, the size of axes {axes[0]} and {axes[1]} of {name}"
