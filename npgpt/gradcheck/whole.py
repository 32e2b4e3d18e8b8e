"""Names for a gradient that is too large for a Jacobian, or of the wrong shape at such a size.

What backward returned is turned back in every way that a known fault could have turned it, and each
time compared with the truth along a few random directions: a multiple of it there, the same to
eight digits along each, is the fault. A few single wrong elements are found one after another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from .numeric import COMPLEX_STEP, Array, choose_method, complex_step, richardson, signs
from .sampling import bisect
from .subject import Subject
from .view import Explanation

DIRECTIONS = 6
MOST = 5  # wrong elements that are looked for one by one
Slope = Callable[[Array], tuple[float, float]]  # direction -> (derivative, error bar)


def explain_whole(
    subject: Subject, position: int, rng: np.random.Generator
) -> Explanation | None:
    """The rearrangement, sum or factor that turned the true gradient into what backward says."""
    x, name = subject.array(position), subject.names[position]
    out, _ = subject.run()
    dout = signs(out.shape, rng)
    said = np.asarray(subject.gradients(dout)[position], dtype=np.float64)
    function = subject.out_as_function_of(position)
    method = choose_method(function, x, rng)
    along = [signs(x.shape, rng) for _ in range(DIRECTIONS)]
    true = np.array([
        float(np.sum(dout * (
            complex_step(function, x, v) if method.name == COMPLEX_STEP
            else richardson(function, x, v, method.grain)[0]
        ))) for v in along
    ])
    told = f"{name} has shape {x.shape}, its gradient has shape {said.shape}: " \
        if said.shape != x.shape else f"The gradient of {name}: "
    for kind, words, back in _turned_back(said, x.shape):
        here = np.array([float(np.sum(back * v)) for v in along])
        size = float(true @ true)
        if not size or not np.all(np.isfinite(here)):
            continue
        c = float(here @ true) / size
        if abs(c) < 1e-12 or np.linalg.norm(here - c * true) > 1e-8 * np.linalg.norm(here):
            continue
        times = "" if abs(c - 1) < 1e-7 else (
            ", and its sign is wrong" if abs(c + 1) < 1e-7 else f", and {c:.6g} times the true one")
        return Explanation(
            kind,
            f"{told}{words}{times}.",
            f"so turned back it meets the true derivative along {DIRECTIONS} random directions",
        )
    return None


def _turned_back(said: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, str, Array]]:
    """(kind, words, what backward said as it would be without this fault)."""
    if said.shape == shape:
        for axis in range(said.ndim):
            yield "axes-swapped", f"axis {axis} of it runs backwards", np.flip(said, axis)
    for order in itertools.permutations(range(said.ndim)):
        if list(order) == sorted(order):
            continue
        moved = said.transpose(order)
        if moved.shape == shape:
            last_two = order[:-2] == tuple(range(said.ndim - 2))
            yield (
                "transposed" if last_two else "axes-swapped",
                "it is transposed" if last_two else f"its axes are permuted, back by {order}",
                moved,
            )
        if said.shape == shape:
            # transposed, then pressed into shape by a reshape
            pressed = said.reshape(tuple(shape[axis] for axis in order)).transpose(
                np.argsort(order))
            yield "axes-swapped", f"its axes are in the order {order}, by a reshape", pressed
    for count in range(1, said.ndim + 1):
        for axes in itertools.combinations(range(said.ndim), count):
            for keep in (True, False):
                summed = said.sum(axis=axes, keepdims=keep)
                if said.shape != shape and summed.shape == shape:
                    yield (
                        "missing-broadcast-sum",
                        f"it was broadcast in forward, so backward must sum over axes {axes}",
                        summed,
                    )
    if said.shape != shape and said.size == math.prod(shape):
        yield "wrong-shape", "the numbers are right, only the shape is not", said.reshape(shape)


def few_wrong(
    analytic: Array, slope: Slope, first: tuple[int, ...], rng: np.random.Generator
) -> list[tuple[tuple[int, ...], float, float]] | None:
    """The wrong elements (index, analytic, numeric) from `first` on, if there are few; else None.

    Each one found is put right, until nothing is wrong along random directions any more.
    """
    mended = analytic.copy()
    places: list[tuple[tuple[int, ...], float, float]] = []
    index = first
    for _ in range(MOST):
        direction = np.zeros(analytic.shape)
        direction[index] = 1.0
        numeric, _ = slope(direction)
        places.append((index, float(analytic[index]), numeric))
        mended[index] = numeric
        wrong = _wrong_direction(mended, slope, rng)
        if wrong is None:
            return sorted(places)
        index = bisect(mended, slope, wrong)
        if index in [place for place, _, _ in places]:
            return None
    return None


def _wrong_direction(analytic: Array, slope: Slope, rng: np.random.Generator) -> Array | None:
    size = float(np.linalg.norm(analytic))
    for _ in range(DIRECTIONS):
        direction = signs(analytic.shape, rng)
        true, bar = slope(direction)
        if abs(float(np.sum(analytic * direction)) - true) > 1e-10 * size + 5 * bar:
            return direction
    return None


def told_few(name: str, places: list[tuple[tuple[int, ...], float, float]]) -> Explanation:
    """The sentence for `few_wrong`."""
    parts = []
    for index, said, true in places:
        how = "is zero" if said == 0 else f"is {said / true:.6g} times the true one" \
            if true else f"is {said:.6g} instead of 0"
        parts.append(f"{list(index)} {how}")
    noun = "One element" if len(places) == 1 else f"{len(places)} elements"
    return Explanation(
        "wrong-element",
        f"{noun} of the gradient of {name} {'is' if len(places) == 1 else 'are'} wrong: "
        f"{'; '.join(parts)}.",
        f"with {'it' if len(places) == 1 else 'them'} put right, the rest is right along "
        f"{DIRECTIONS} random directions",
    )
