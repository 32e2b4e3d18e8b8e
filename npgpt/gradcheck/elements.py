"""The rules about single elements: one that is wrong, a part with its own factor, a term too many.

They look at numbers only, and at where backward and truth differ.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .numeric import Array
from .picture import largest_block
from .view import DIGITS, Explanation, View, close

MOST = 3  # wrong elements that are told one by one


def differing(v: View, said: Array, predicted: Array) -> Array:
    """Where the two (K, N) differ by more than eight digits and the numbers' error: a mask (N,)."""
    typical = float(np.sqrt(np.mean(np.square(predicted)))) if predicted.size else 0.0
    bars = np.abs(v.m.douts.reshape(len(v.m.douts), -1)) @ v.m.bars[v.position].T
    allowed = DIGITS * (np.abs(predicted) + 1e-3 * typical) + 5 * bars
    return np.asarray((~(np.abs(said - predicted) <= allowed)).any(axis=0))


def common_ratio(said: Array, predicted: Array) -> float | None:
    """The number c that most elements agree on in said = c * predicted; None if there is none."""
    typical = float(np.sqrt(np.mean(np.square(predicted)))) if predicted.size else 0.0
    usable = (np.abs(predicted) > 1e-3 * typical) & (said != 0) & np.isfinite(said)
    ratios = np.sort((said[usable] / predicted[usable]).reshape(-1))
    if len(ratios) < 4:
        return None
    ends = np.searchsorted(ratios, ratios + 2e-8 * np.abs(ratios), side="right")
    counts = ends - np.arange(len(ratios))
    start = int(np.argmax(counts))
    if counts[start] < max(4, len(ratios) // 4):
        return None
    c = float(np.median(ratios[start : ends[start]]))
    return float(round(c)) if abs(c - round(c)) < 1e-7 else c


def extra_term(v: View) -> Explanation | None:
    """Right, but for something added that has no dout in it."""
    try:
        grads = v.m.subject.gradients(np.zeros(v.m.out.shape))
        rest = np.asarray(grads[v.position], dtype=np.float64).reshape(-1)
    except Exception:  # a backward that divides by dout, or declines zeros
        return None
    if rest.size != v.said.shape[1] or not np.any(rest) or not np.all(np.isfinite(rest)):
        return None
    if not close(v.said - rest, v.true):
        return None
    there = rest != 0
    values = rest[there]
    what = f"{values[0]:.6g}" if np.ptp(values) <= 1e-9 * abs(values[0]) else "a term"
    where = "" if there.all() else f" (at {largest_block(there.reshape(v.shape))})"
    return Explanation(
        "extra-term",
        f"Something is added to the gradient of {v.name} that has no dout in it: {what}{where}. "
        "Every term of a true gradient has dout as a factor.",
        "for a dout of zeros backward returns just that; taken away, all the rest is right",
        v.true + rest,
    )


def wrong_elements(v: View) -> Explanation | None:
    """All is right but for one element, or for two or three among many."""
    wrong = differing(v, v.said, v.true)
    count = int(wrong.sum())
    if not 0 < count <= max(1, min(MOST, wrong.size // 8)) or wrong.size < 3:
        return None
    told = []
    for n in np.flatnonzero(wrong):
        place = [int(i) for i in np.unravel_index(int(n), v.shape)]
        told.append(f"{place} {_how(v.said[:, n], v.true[:, n])}")
    noun = "One element" if count == 1 else f"{count} elements"
    return Explanation(
        "wrong-element",
        f"{noun} of the gradient of {v.name} {'is' if count == 1 else 'are'} wrong: "
        f"{'; '.join(told)}.",
        f"the other {wrong.size - count} are right to eight digits",
        v.said,
    )


def _how(said: Array, true: Array) -> str:
    if not np.all(np.isfinite(said)):
        return "is NaN or infinite"
    if not np.any(said):
        return "is zero"
    if np.ptp(said) <= 1e-9 * np.abs(said).max():
        return f"is {said[0]:.6g}, whatever dout is"
    if np.any(true):
        c = float(said @ true) / float(true @ true)
        if np.linalg.norm(said - c * true) <= 1e-9 * np.linalg.norm(said):
            return "has the wrong sign" if abs(c + 1) < 1e-9 else f"is {c:.9g} times the true one"
    gap = said - true
    if np.ptp(gap) <= 1e-7 * np.abs(gap).max():
        return f"has {gap[0]:.6g} added to it, whatever dout is"
    return f"is off by {np.abs(gap).max():.2g}"


def scaled_parts(v: View) -> Iterator[Explanation]:
    """What backward would say if some slices along an axis had a factor of their own."""
    said, true = v.cubes(v.said), v.cubes(v.true)
    for axis, size in enumerate(v.shape):
        if not 1 < size <= 64:
            continue
        factors = np.ones(size)
        for n in range(size):
            here, there = said.take(n, axis + 1), true.take(n, axis + 1)
            if not np.any(here) and np.any(there):
                factors[n] = 0.0
            else:
                ratio = common_ratio(here, there)
                factors[n] = 1.0 if ratio is None else ratio
        off = [n for n in range(size) if abs(factors[n] - 1) > 1e-7]
        if not off or len(off) == size:
            continue
        shape = [1] * true.ndim
        shape[axis + 1] = size
        predicted = (true * factors.reshape(shape)).reshape(len(true), -1)
        yield _told(v, axis, size, off, factors, predicted)


def _told(
    v: View, axis: int, size: int, off: list[int], factors: Array, predicted: Array
) -> Explanation:
    where = f"number {', '.join(map(str, off[:6]))}{', ...' if len(off) > 6 else ''} of {size}"
    where += f" along axis {axis}"
    evidence = "the ratio of most elements there, the same to eight digits"
    if not np.any(factors[off]):
        return Explanation(
            "batch-dropped", f"Part of the gradient of {v.name} is zero: {where}.", evidence,
            predicted)
    if np.all(np.abs(factors[off] + 1) < 1e-7):
        return Explanation(
            "wrong-sign", f"Part of the gradient of {v.name} has the wrong sign: {where}.",
            evidence, predicted)
    values = ", ".join(f"{c:.6g}" for c in factors[off][:6])
    return Explanation(
        "factor", f"Part of the gradient of {v.name} has a wrong factor: {where} is {values} times"
        " the true one.", evidence, predicted)
