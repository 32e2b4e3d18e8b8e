"""Multiples of the true gradient: which number it is, its name, its words, where it may come from.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from ..arrays import Array
from .measure import Measurement

SOURCES = 5  # of a number that are listed
PLACES = 3  # arrays that are listed of one size
NEAR = 1e-7  # a number found by least squares is that close to what it stands for
# Every factor that people write or forget is among the multiples of 1/24: halves, thirds, quarters,
# sixths, eighths, twelfths and all integers.
PARTS = 24

Number = TypeVar("Number", float, Array)


def near(c: float, value: float) -> bool:
    """Is c this number, up to rounding?"""
    return abs(c - value) < NEAR


def plain(c: Number) -> Number:
    """The multiple of 1/24 that is nearest to c."""
    return np.round(c * PARTS) / PARTS  # type: ignore[no-any-return]


def kind_of(c: float) -> str:
    """The kind of the fault that gives c times the true gradient."""
    return "zero-gradient" if c == 0 else "wrong-sign" if near(c, -1) else "factor"


def times(c: float) -> str:
    """What is wrong with c times the true gradient, as the end of a sentence."""
    if c == 0:
        return "is zero"
    if near(c, -1):
        return "has the wrong sign"
    text = f"{c:.6g}"
    return f"is {c:.9g} times the true one" if text == "1" else f"is {text} times the true one"


def origin(c: float, m: Measurement) -> str:
    """Where a factor may come from, as ': that is 8, the size of ...', or ''.

    Where several sizes fit, all are listed: 2 may be the batch, or the root of a head size of 4.
    """
    fits: dict[str, list[str]] = {}
    if kind_of(c) != "factor":
        return ""
    for value, words, place in known_numbers(m):
        for scale, over in ((value, ""), (1 / value, "one over ")):
            for sign, less in ((1, ""), (-1, "minus ")):
                if near(c / (sign * scale), 1):
                    fits.setdefault(less + over + words, []).append(place)
    if not fits:
        return ""
    texts = [_describe(words, places) for words, places in fits.items()]
    if near(c, 2):
        texts[0] = "two, as if it had been added twice"
    if len(texts) == 1:
        return f": that is {texts[0]}"
    more = f"; or {len(texts) - SOURCES} more" if len(texts) > SOURCES else ""
    listed = "; or ".join(texts[:SOURCES])
    return f": that may be {listed}{more}. The values alone cannot tell which"


def _describe(words: str, places: list[str]) -> str:
    """One size and the arrays that have it."""
    more = f" and {len(places) - PLACES} more" if len(places) > PLACES else ""
    return f"{words}{' or '.join(places[:PLACES])}{more}"


def known_numbers(m: Measurement) -> Iterator[tuple[float, str, str]]:
    """Numbers that a backward could have multiplied with by mistake: (number, its name, where)."""
    yield 2.0, "two", ""
    if m.out.ndim and m.out.shape[0] > 1:
        size = m.out.shape[0]
        yield float(size), f"{size}, the batch (axis 0 of out {m.out.shape})", ""
    for name, value in m.subject.settings.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value not in (0, 1):
            yield float(value), f"the setting {name}", ""
            if 0 < value < 1:
                yield 1 - float(value), f"1 - {name}", ""
            elif value > 0:
                yield math.sqrt(value), f"the root of the setting {name}", ""
    arrays = [("out", m.out)] + [
        (n, a) for n, a in zip(m.subject.names, m.subject.inputs, strict=True) if a is not None
    ]
    for name, array in arrays:
        for axis, size in enumerate(array.shape):
            if size > 1 and not (axis == 0 and array is m.out):
                yield float(size), f"{size}, the size of ", f"axis {axis} of {name} {array.shape}"
    for name, array in arrays:
        for axis, size in enumerate(array.shape):
            if size > 1:
                place = f"axis {axis} of {name} {array.shape}"
                yield math.sqrt(size), f"the root of {size}, the size of ", place
        if array.ndim > 1 and array.size > 1:
            yield float(array.size), "the number of elements of ", f"{name} {array.shape}"
        for axes in itertools.combinations(range(array.ndim), 2) if array.ndim > 2 else ():
            size = array.shape[axes[0]] * array.shape[axes[1]]
            if size > 1:
                place = f"axes {axes[0]} and {axes[1]} of {name} {array.shape}"
                yield float(size), f"{size}, the size of ", place
