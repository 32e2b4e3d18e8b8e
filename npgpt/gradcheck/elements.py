"""The rules about single elements: one that is wrong, a part with its own factor, a term too many.

They look only at the two gradients, and at where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .fault import DIGITS, Fault, WrongGradient, close, fit
from .measure import usable
from .multiple import NEAR, near, times
from .numeric import Array, Index, norm
from .picture import largest_block
from .subject import CallError

FEW = 3  # wrong elements that are listed one by one


def differing(v: WrongGradient, analytic: Array, predicted: Array) -> Array:
    """Where the two (K, N) differ by more than eight digits and the error bars: a mask (N,)."""
    typical = float(np.sqrt(np.mean(np.square(predicted)))) if predicted.size else 0.0
    errors = np.abs(v.m.douts.reshape(len(v.m.douts), -1)) @ v.m.errors[v.position].T
    allowed = DIGITS * (np.abs(predicted) + 1e-3 * typical) + 5 * errors
    return np.asarray((~(np.abs(analytic - predicted) <= allowed)).any(axis=0))


def common_ratio(analytic: Array, predicted: Array) -> float | None:
    """The number c that most elements agree on in analytic = c * predicted; None if there is none.
    """
    typical = float(np.sqrt(np.mean(np.square(predicted)))) if predicted.size else 0.0
    there = (np.abs(predicted) > 1e-3 * typical) & (analytic != 0) & np.isfinite(analytic)
    ratios = np.sort((analytic[there] / predicted[there]).reshape(-1))
    if len(ratios) < 4:
        return None
    ends = np.searchsorted(ratios, ratios + 2e-8 * np.abs(ratios), side="right")
    counts = ends - np.arange(len(ratios))
    start = int(np.argmax(counts))
    if counts[start] < max(4, len(ratios) // 4):
        return None
    c = float(np.median(ratios[start : ends[start]]))
    return float(round(c)) if near(c, round(c)) else c


def extra_term(v: WrongGradient) -> Fault | None:
    """Right, but for something added that has no dout in it."""
    try:
        rows = usable([v.m.subject.gradients(np.zeros(v.m.out.shape))], v.position, v.shape)
    except CallError:  # a backward that divides by dout, or rejects zeros
        return None
    if rows is None or not np.any(rows) or not np.all(np.isfinite(rows)):
        return None
    rest = rows[0]
    if not close(v.analytic - rest, v.numeric):
        return None
    there = rest != 0
    values = rest[there]
    what = f"{values[0]:.6g}" if np.ptp(values) <= 1e-9 * abs(values[0]) else "a term"
    where = "" if there.all() else f" (at {largest_block(there.reshape(v.shape))})"
    return Fault(
        "extra-term",
        f"Something is added to the gradient of {v.name} that has no dout in it: {what}{where}. "
        "Every term of a true gradient has dout as a factor.",
        "for a dout of zeros backward returns just that; without it, all the rest is right",
        v.numeric + rest, nonlinear=True)


def wrong_elements(v: WrongGradient) -> Fault | None:
    """All is right but for one element, or for two or three among many."""
    wrong = differing(v, v.analytic, v.numeric)
    count = int(wrong.sum())
    if not 0 < count <= max(1, min(FEW, wrong.size // 8)) or wrong.size < 3:
        return None
    how, nonlinear = {}, False
    for n in map(int, np.flatnonzero(wrong)):
        words, constant = _how(v.analytic[:, n], v.numeric[:, n])
        how[tuple(map(int, np.unravel_index(n, v.shape)))] = words
        nonlinear = nonlinear or constant
    evidence = f"the other {wrong.size - count} are right {v.m.digits}"
    return list_elements(v.name, how, evidence, v.analytic, nonlinear)


def list_elements(
    name: str, how: dict[Index, str], evidence: str, predicted: Array | None = None,
    nonlinear: bool = False,
) -> Fault:
    """The name for a few wrong elements: their places, and how each is wrong."""
    count = len(how)
    noun = "One element" if count == 1 else f"{count} elements"
    text = "; ".join(f"{list(index)} {words}" for index, words in how.items())
    return Fault(
        "wrong-element",
        f"{noun} of the gradient of {name} {'is' if count == 1 else 'are'} wrong: {text}.",
        evidence, predicted, nonlinear=nonlinear)


def _how(analytic: Array, numeric: Array) -> tuple[str, bool]:
    """What is wrong with one element, from its values for several dout, and whether that is the
    same for all of them."""
    if not np.all(np.isfinite(analytic)):
        return "is NaN or infinite", False
    if not np.any(analytic):
        return "is zero", False
    if np.ptp(analytic) <= 1e-9 * np.abs(analytic).max():
        return f"is {analytic[0]:.6g}, whatever dout is", True
    c = fit(analytic, numeric)
    if c and norm(analytic - c * numeric) <= 1e-9 * norm(analytic):
        return times(c), False
    gap = analytic - numeric
    if np.ptp(gap) <= 1e-7 * np.abs(gap).max():
        return f"has {gap[0]:.6g} added to it, whatever dout is", True
    return f"is off by {np.abs(gap).max():.2g}", False


def scaled_parts(v: WrongGradient) -> Iterator[Fault]:
    """What backward would return if some slices along an axis had a factor of their own."""
    analytic, numeric = v.cubes(v.analytic), v.cubes(v.numeric)
    for axis, size in enumerate(v.shape):
        if not 1 < size <= 64:
            continue
        factors = np.ones(size)
        for n in range(size):
            here, there = analytic.take(n, axis + 1), numeric.take(n, axis + 1)
            if not np.any(here) and np.any(there):
                factors[n] = 0.0
            else:
                ratio = common_ratio(here, there)
                factors[n] = 1.0 if ratio is None else ratio
        off = [n for n in range(size) if abs(factors[n] - 1) > NEAR]
        if not off or len(off) == size:
            continue
        shape = [1] * numeric.ndim
        shape[axis + 1] = size
        predicted = (numeric * factors.reshape(shape)).reshape(len(numeric), -1)
        yield _of_parts(v, few(off, f" of {size} along axis {axis}"), factors[off], predicted)


def few(places: list[int], of: str) -> str:
    """number 1, 2, ... of so many."""
    return f"number {', '.join(map(str, places[:6]))}{', ...' if len(places) > 6 else ''}{of}"


def _of_parts(v: WrongGradient, where: str, factors: Array, predicted: Array) -> Fault:
    part = f"Part of the gradient of {v.name}"
    if not np.any(factors):
        kind, text = "batch-dropped", f"{part} is zero: {where}."
    elif np.all(np.abs(factors + 1) < NEAR):
        kind, text = "wrong-sign", f"{part} has the wrong sign: {where}."
    else:
        values = ", ".join(f"{c:.6g}" for c in factors[:6])
        kind, text = "factor", f"{part} has a wrong factor: {where} is {values} times the true one."
    return Fault(kind, text, f"the ratio of most elements there, the same {v.m.digits}", predicted)
