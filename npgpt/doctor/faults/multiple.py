"""Multiples of the true gradient: which number it is, its name, its words, where it may come from.

A size is only the source of a factor if the factor changes with it: the inputs are cut to other
sizes, and what does not follow is left out.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm, signs
from ..evidence.fault import NEAR
from ..evidence.numeric import ways
from ..evidence.subject import CallError, Subject
from ..reading.traced_source import program

SOURCES = 5  # of a number that are listed
PLACES = 2  # arrays that are listed of one size
CUTS = 8  # other sizes at which a factor is taken again
# Every factor that people write or forget is among the multiples of 1/24: halves, thirds, quarters,
# sixths, eighths, twelfths and all integers.
PARTS = 24

Value = TypeVar("Value", float, Array)


class Number(NamedTuple):
    """A number that a backward could have multiplied with by mistake: its `value`, what it is, and
    in which array; the same words and place stand for it at other sizes."""

    value: float
    words: str
    place: str = ""
    text: str = ""


def near(c: float, value: float) -> bool:
    """Is c this number, up to rounding?"""
    return abs(c - value) < NEAR


def plain(c: Value) -> Value:
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


def origin(
    c: float, subject: Subject, again: Callable[[Subject], float | None] | None = None
) -> str:
    """Where a factor may come from, as ': that is 8, the size of ...', or ''.

    `again` takes the factor at other sizes. Where several sizes fit even so, all are listed.
    """
    if kind_of(c) != "factor":
        return ""
    fits = dict(_matching(c, subject))
    if not fits:
        return ""
    # a size is a source only if it was seen to change, and the factor with it
    seen = {fit for fit in fits if not fit[3]} if again else set()
    for other_size in itertools.islice(_other_sizes(subject) if again else (), CUTS):
        other = again(other_size) if again else None
        if other is not None:
            there = dict(_matching(other, other_size, 0))
            fits = {fit: value for fit, value in fits.items() if fit in there}
            seen |= {fit for fit, value in fits.items() if there[fit] != value}
    if not fits:
        return ", at other sizes too"
    numbers = {(n.words, n.place): n for n in known_numbers(subject)}
    texts: dict[str, list[str]] = {}
    for sign, over, words, place in sorted(fits, key=lambda f: list(numbers).index(f[2:])):
        number = numbers[words, place]
        texts.setdefault(sign + over + number.text, []).append(number.place)
    listed = [_with_places(words, [p for p in places if p]) for words, places in texts.items()]
    if near(c, 2) and listed[0] == "two":
        listed[0] = "two, as if it had been added twice"
    if len(listed) == 1 and seen & set(fits):
        return f": that is {listed[0]}{_remark(subject, *next(iter(fits)), c)}"
    if len(listed) == 1:
        return f": that may be {listed[0]}"
    more = f"; or {len(listed) - SOURCES} more" if len(listed) > SOURCES else ""
    return f": that may be {'; or '.join(listed[:SOURCES])}{more}. The values alone cannot tell " \
        "which"


def _remark(subject: Subject, less: str, over: str, words: str, place: str, c: float) -> str:
    """What a student does who gets this factor."""
    if words == "root" and not less:
        what = "is missing in backward" if not over else "is taken twice, or of a wrong width"
        return f"; the scale 1 / sqrt({max(c, 1 / c)**2:.0f}) of forward {what}"
    if less or over or words not in ("size", "elements", "two sizes"):
        return ""
    source = program(subject, "forward")
    tree = source.functions[source.name] if source else ast.Module([], [])
    for node in ast.walk(tree):
        mean = isinstance(node, ast.Attribute) and node.attr == "mean"
        divides = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if source and (mean or divides):
            return f"; forward {'takes the mean' if mean else 'divides'} in line " \
                f"{source.line(source.name, node)}, backward never divides by {c:.0f}"
    return ""


def _matching(
    c: float, subject: Subject, least: int = 1
) -> Iterator[tuple[tuple[str, str, str, str], float]]:
    """(sign, inverse or not, words, place) and value of each number that c may be."""
    for number in known_numbers(subject, least):
        for scale, over in ((number.value, ""), (1 / number.value, "one over ")):
            for sign, less in ((1, ""), (-1, "minus ")):
                if near(c / (sign * scale), 1):
                    yield (less, over, number.words, number.place), number.value


def _with_places(words: str, places: list[str]) -> str:
    """One size and the arrays that have it."""
    more = f" and {len(places) - PLACES} more" if len(places) > PLACES else ""
    return f"{words}{', the size of ' if places else ''}{' or '.join(places[:PLACES])}{more}"


def known_numbers(subject: Subject, least: int = 1) -> Iterator[Number]:
    """The numbers that people multiply with by mistake, the likelier first; sizes above `least`."""
    yield Number(2.0, "two", text="two")
    settings = {name: float(value) for name, value in subject.settings.items()
                if isinstance(value, (int, float)) and not isinstance(value, bool)}
    for name, value in settings.items():
        if value not in (0, 1):
            yield Number(value, name, text=f"the setting {name}")
            if 0 < value < 1:
                yield Number(1 - value, f"1 - {name}", text=f"1 - {name}")
            elif value > 0:
                yield Number(math.sqrt(value), f"root of {name}", text=f"the root of {name}")
    try:
        out = subject.run()[0]
    except CallError:
        return
    arrays = [("out", out)] + [
        (n, a) for n, a in zip(subject.names, subject.inputs, strict=True) if a is not None]
    sizes = [(float(n), f"axis {axis} of {name}{' (the batch)' * (axis == 0)}")
             for name, a in arrays for axis, n in enumerate(a.shape) if n > least]
    for n, place in sizes:
        yield Number(n, "size", place, f"{n:g}")
    for n, place in sizes:
        yield Number(math.sqrt(n), "root", place, f"sqrt({n:g})")
        # a variance that is divided by n - 1 at one place and by n at another
        if n > 1 + least:
            yield Number(n / (n - 1), "Bessel", place, f"n / (n - 1) with n = {n:g}")
            yield Number(math.sqrt(n / (n - 1)), "root of Bessel", place,
                         f"sqrt(n / (n - 1)) with n = {n:g}")
        for name, value in settings.items():
            if value > 1 and n % value == 0 and n > value:
                yield Number(n / value, f"over {name}", place, f"n / {name} with n = {n:g}")
                yield Number(math.sqrt(n / value), f"root over {name}", place,
                             f"sqrt(n / {name}) with n = {n:g}")
    for name, a in arrays:
        if a.ndim > 1 and a.size > least:
            yield Number(float(a.size), "elements", f"all of {name}", f"{a.size}")
        for axes in itertools.combinations(range(a.ndim), 2) if a.ndim > 2 else ():
            size = a.shape[axes[0]] * a.shape[axes[1]]
            if size > least:
                yield Number(float(size), "two sizes", f"axes {axes[0]} and {axes[1]} of {name}",
                             f"{size}")


def _other_sizes(subject: Subject) -> Iterator[Subject]:
    """The same pair on inputs of which the axes of one length are longer or shorter."""
    lengths = {n for a in subject.inputs if a is not None for n in a.shape if n > 1}
    for length in sorted(lengths):
        for size in (length + 1, length - 1)[:length - 1]:
            yield subject.cut({length: size}).each(
                lambda a, size=size: np.where(a > 0, a % size, a)  # type: ignore[misc]
                if a.dtype.kind in "iu" else a)


def ratio(subject: Subject, position: int) -> float | None:
    """By what the gradient of one input is multiplied, or None if it is no multiple."""
    rng = np.random.default_rng(0)
    x = subject.array(position)
    try:
        dout = signs(subject.run()[0].shape, rng)
        given = np.asarray(subject.gradients(dout)[position], np.float64)
        function = subject.out_as_function_of(position)
        way = ways(function, x, rng)[0]
        if given.shape != x.shape or not x.size:
            return None
        moves = [signs(x.shape, rng) for _ in range(min(4, x.size))]
        truth = np.array([np.sum(dout * way.along(function, x, v)[0]) for v in moves])
    except CallError:  # sizes that it does not take
        return None
    rows = np.array([np.sum(given * v) for v in moves])
    c = float(rows @ truth / max(float(truth @ truth), 1e-300))
    return c if norm(rows - c * truth) <= 1e-6 * norm(rows) else None
