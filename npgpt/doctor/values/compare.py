"""Two values side by side: how far apart, where first, and what mistakes any value may have.

A value is an array, or lists and dicts of arrays; a list of byte strings is compared as a list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...arrays import Array
from .program import Value, numbers

# A value is wrong if it is off by more than this, of the size of the right one. Not less: the order
# of summation differs from program to program; float32 has about seven digits, float16 three.
TOLERANCES = {"float64": 1e-8, "float32": 1e-4, "float16": 2e-2}
# A mistake explains a value that is this much closer to its prediction than to the right value.
# A few numbers are met by chance, where hundreds of mistakes are tried: they must be met exactly.
CLOSER, FEW = 0.02, 8
EXACT = {"float64": 1e-6, "float32": 2e-3}
Leaves = dict[str, Array]


def leaves(value: Value, path: str = "") -> Leaves:
    """The arrays of a value by their path in it, such as [2]['wte'].

    Raises ValueError for what holds no array, number or byte string.
    """
    value = numbers(value)
    if isinstance(value, dict):
        return {key: leaf for name, part in value.items()
                for key, leaf in leaves(part, f"{path}[{name!r}]").items()}
    if isinstance(value, (list, tuple)) and value and not np.isscalar(value[0]):
        flat = [v for part in value for v in (part if isinstance(part, (list, tuple)) else [part])]
        if not all(isinstance(v, (bytes, str)) for v in flat):
            return {key: leaf for n, part in enumerate(value)
                    for key, leaf in leaves(part, f"{path}[{n}]").items()}
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (int, float)):
        array = np.empty(len(value), dtype=object)
        array[:] = [_plain(part) for part in value]
        return {path: array}
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"expected arrays or numbers, got {type(value).__name__}")
    return {path: array}


def _plain(part: Value) -> Value:
    if isinstance(part, (list, tuple)):
        return tuple(_plain(one) for one in part)
    return part.encode() if isinstance(part, str) else part


def _unlike(a: Array, b: Array) -> Array:
    """Where tokens differ, in type too: a number is not compared with a token."""
    return np.array([not (isinstance(y, type(x)) and x == y) for x, y in zip(
        a.ravel(), b.ravel(), strict=True)], bool).reshape(a.shape)


def gap(a: Leaves, b: Leaves) -> float:
    """The length of the difference; inf for other shapes, other tokens, or NaN in other places."""
    if a.keys() != b.keys() or any(a[key].shape != b[key].shape for key in a):
        return math.inf
    total = 0.0
    with np.errstate(all="ignore"):
        for key, left in a.items():
            right = b[key]
            if left.dtype == object or right.dtype == object:
                total += float(_unlike(left, right).sum())
                continue
            same = (left == right) | (np.isnan(left) & np.isnan(right))
            off = np.where(same, 0.0, left.astype(float) - right.astype(float))
            total += float((off * off).sum()) if np.isfinite(off).all() else math.inf
    return math.sqrt(total)


@np.errstate(all="ignore")
def size(a: Leaves) -> float:
    """The length of all finite numbers together."""
    return math.sqrt(sum(float((np.where(np.isfinite(x), x, 0.0).astype(float) ** 2).sum())
                         for x in a.values() if x.dtype != object))


def tolerance(a: Leaves) -> float:
    """What is allowed for numbers of this precision, as a fraction of their size."""
    return max((TOLERANCES.get(str(x.dtype), 1e-8) for x in a.values()), default=1e-8)


@np.errstate(all="ignore")
def explains(predicted: Leaves, right: Leaves, got: Leaves) -> bool:
    """Whether what a mistake predicts is what was given: far closer to it than the right value."""
    before = gap(right, got)
    before = before if math.isfinite(before) else size(got)
    count = sum(x.size for x in got.values())
    coarse = max((EXACT.get(str(x.dtype), 1e-6) for x in got.values()), default=1e-6)
    closer = CLOSER if count >= FEW else coarse
    return gap(predicted, got) <= closer * before + 1e-14 * size(got)


def exact(predicted: Leaves, right: Leaves, got: Leaves) -> bool:
    """Whether it explains what was given, and equals it up to rounding."""
    return explains(predicted, right, got) and (
        gap(predicted, got) <= tolerance(got) * size(got) + 1e-14)


@dataclass(frozen=True)
class General:
    """A mistake that any value may have, as a map of the right value."""

    kind: str
    sentence: str
    change: Callable[[Array], Array]
    ndim: int = 0


GENERAL = [
    General("zero-value", "it is all zeros: never written or added to, or multiplied by 0",
            np.zeros_like),
    General("wrong-sign", "the sign is wrong", np.negative),
    General("transposed", "the last two axes are transposed", lambda a: a.swapaxes(-1, -2), 2),
    General("axes-swapped", "rows are in reverse order", lambda a: a[::-1], 1),
    General("shifted", "positions are shifted by one, to the right",
            lambda a: np.roll(a, 1, axis=-2), 2),
    General("shifted", "positions are shifted by one, to the left",
            lambda a: np.roll(a, -1, axis=-2), 2),
    General("batch-dropped", "every sequence of the batch holds the first one",
            lambda a: np.broadcast_to(a[:1], a.shape), 3),
    General("axes-swapped", "the first two axes are swapped", lambda a: a.swapaxes(0, 1), 3),
    General("axes-swapped", "the axes of heads and positions are swapped",
            lambda a: a.swapaxes(1, 2), 4),
    General("float32", "the numbers were rounded to half precision on the way",
            lambda a: a.astype(np.float16).astype(a.dtype), 0),
    General("float32", "some step ran in float32: it is right to about seven digits only",
            lambda a: a.astype(np.float32).astype(a.dtype), 0),
]


def general(right: Leaves) -> Iterator[tuple[General, Leaves]]:
    """What each of these mistakes makes of the right value, where it has the axes for it."""
    if all(a.dtype.kind == "f" for a in right.values()):
        for mistake in GENERAL:
            if all(a.ndim >= mistake.ndim for a in right.values()):
                with np.errstate(over="ignore"):    # of half precision
                    made = {key: mistake.change(a) for key, a in right.items()}
                yield mistake, made


@np.errstate(all="ignore")
def factor(right: Leaves, got: Leaves) -> float | None:
    """c, if what was given is c times the right value and c is not 1; else None."""
    if gap(right, got) == math.inf or any(a.dtype == object for a in right.values()):
        return None
    square = sum(float((a * a).sum()) for a in right.values())
    c = sum(float((a * got[key]).sum()) for key, a in right.items()) / (square or 1.0)
    scaled = {key: c * a for key, a in right.items()}
    return c if abs(c - 1) > 1e-6 and c != 0 and explains(scaled, right, got) else None


def factor_sources(c: float, sizes: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """(what a factor may be: of the sizes, the root of one, or 2; its value, or one over it).

    Last come no words, and the number's first six digits.
    """
    known = {**sizes, "2": 2.0, **{f"the root of {word}": math.sqrt(n)
                                   for word, n in sizes.items() if n > 1}}
    for word, value in known.items():
        for number in (value, 1 / value):
            if abs(c / number - 1.0) < 1e-3 and value != 1:
                yield word, number
    yield "", float(f"{c:.6g}")


def factor_word(word: str, number: float) -> str:
    """A sentence for a factor, with where it may come from."""
    if not word:
        return f"it is {number:.6g} times the correct one"
    size = f"by a factor of {word}" + f" ({max(number, 1 / number):.6g})" * (word != "2")
    if word == "2":
        return f"it is too {'large' if number > 1 else 'small'} {size}"
    if number > 1:
        return f"it is too large {size}: not divided by it, a sum instead of a mean?"
    return f"it is too small {size}: divided by it twice, a mean instead of a sum?"


def first_difference(right: Leaves, got: Leaves) -> tuple[str, str, str] | None:
    """(where, expected, got) of the first element that differs, in words; None for equal values."""
    for key, a in right.items():
        b = got.get(key)
        if b is None:
            return key, "a value", "nothing"
        if a.shape != b.shape and a.dtype == b.dtype == object and a.ndim == b.ndim == 1:
            n = next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            expected, given = (_shown(x[n]) if n < len(x) else "nothing more" for x in (a, b))
            return f"{key}[{n}]", expected, given
        if a.shape != b.shape:
            return key, f"shape {a.shape}", f"shape {b.shape}"
        if a.dtype == object or b.dtype == object:
            off = _unlike(a, b)
        else:
            with np.errstate(invalid="ignore"):
                room = tolerance(got) * max(size({key: a}) / math.sqrt(max(a.size, 1)), 1e-300)
                off = ~((np.abs(a - b) <= room) | (a == b) | (np.isnan(a) & np.isnan(b)))
        if off.any():
            index = tuple(int(i) for i in np.argwhere(off)[0])
            place = key + (str(list(index)) if index else "")
            return place, _shown(a[index]), _shown(b[index])
    return None


def _shown(value: Value) -> str:
    return f"{value:.9g}" if isinstance(value, (float, np.floating)) else str(value)
