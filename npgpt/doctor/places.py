"""The rules about places: a wrong element, a part with its own factor, a term too many; repeated
ids, masks, a forgotten dout, parts of dout that never count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm
from .fault import DIGITS, Fault, WrongGradient, close, fit
from .measure import usable
from .multiple import NEAR, near, times
from .picture import largest_block
from .source import cuts_a_batch
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


def extra_term(v: WrongGradient) -> Iterator[Fault]:
    """Right, but for something added that has no dout in it."""
    try:
        rows = usable([v.m.subject.gradients(np.zeros(v.m.out.shape))], v.position, v.shape)
    except CallError:  # a backward that divides by dout, or rejects zeros
        return
    if rows is None or not np.any(rows) or not np.all(np.isfinite(rows)):
        return
    rest = rows[0]
    if not close(v.analytic - rest, v.numeric):
        return
    there = rest != 0
    values = rest[there]
    what = f"{values[0]:.6g}" if np.ptp(values) <= 1e-9 * abs(values[0]) else "a term"
    where = "" if there.all() else f" (at {largest_block(there.reshape(v.shape))})"
    yield Fault(
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
    name: str, how: dict[tuple[int, ...], str], evidence: str, predicted: Array | None = None,
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
        along = np.expand_dims(factors, tuple(range(1, numeric.ndim - 1 - axis)))
        predicted = (numeric * along).reshape(len(numeric), -1)
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


def repeated_ids(v: WrongGradient) -> Iterator[Fault]:
    """Rows that come twice count once: `=` where `+=` (np.add.at) was needed."""
    for name, ids in zip(v.m.subject.names, v.m.subject.inputs, strict=True):
        if ids is None or ids.dtype.kind not in "iu" or v.m.out.ndim == 0:
            continue
        try:
            everywhere = np.broadcast_to(ids, v.m.out.shape[:-1])
        except ValueError:
            continue
        flat = everywhere.reshape(-1)
        count = np.array([np.sum(flat == i) for i in flat])
        for weights, words in (
            ([i not in flat[n + 1 :] for n, i in enumerate(flat)], "only the last"),
            ([i not in flat[:n] for n, i in enumerate(flat)], "only the first"),
            (1 / count, "the mean"),
        ):
            weight = np.array(weights).reshape(*everywhere.shape, 1)
            if not np.all(weight == 1):
                twice = int(np.argmax(count > 1))
                yield Fault(
                    "repeated-ids-overwritten",
                    f"Where an id of {name} comes more than once, {words} of its gradients "
                    "counts; they must be added (np.add.at does).",
                    f"id {flat[twice]} comes {count[twice]} times; with {words} of each counted "
                    f"the two gradients agree {v.m.digits}", v.weighted(weight))


def mask(v: WrongGradient) -> Iterator[Fault]:
    """Right wherever the input has any influence, and not zero where it has none."""
    silent = ~np.any(v.jacobian, axis=1)
    if not silent.any() or silent.all():
        return
    right = close(v.analytic[:, ~silent], v.numeric[:, ~silent])
    if not right or not np.any(v.analytic[:, silent]):
        return
    yield Fault(
        "mask-forgotten",
        f"{int(silent.sum())} elements of {v.name} have no influence on the output (they are "
        "masked), but backward gives them a gradient: the mask is missing in backward.",
        "everywhere else the gradient is right")


def elementwise(v: WrongGradient) -> Iterator[Fault]:
    """Where out[i] depends on x[i] alone: compare the local slopes, which may be a mask."""
    if v.jacobian.shape[0] != v.jacobian.shape[1] or np.any(
        v.jacobian - np.diag(np.diag(v.jacobian))
    ):
        return
    true_slope = np.diag(v.jacobian)
    slopes = v.analytic / v.m.douts.reshape(len(v.analytic), -1)
    slope = slopes[0]
    if not close(slopes, np.broadcast_to(slope, slopes.shape)):
        return
    levels = np.unique(np.round(true_slope, 9))
    if len(levels) != 2:
        return
    low, high = levels
    above = true_slope > levels.mean()
    text = f"out = {v.name} * mask with the mask's values {low:.6g} and {high:.6g}; backward "
    values = np.unique(np.round(slope, 6))[:4].tolist()
    evidence = f"the slopes in backward take the values {values}"
    choices: list[tuple[Array, str, str]] = [
        (np.array(level), "mask-forgotten", "forgets the mask.") for level in (low, high, 1.0)]
    choices.append((np.where(above, low, high), "mask-inverted", "has it the wrong way round."))
    if low == 0 and high != 1:
        choices.append((
            1.0 * above, "mask-not-rescaled",
            f"has the same zeros, but 1 for {high:.6g}: it is not rescaled."))
    for expected, kind, words in choices:
        if np.allclose(slope, expected, rtol=1e-8, atol=1e-10):
            yield Fault(kind, text + words, evidence)
    if set(np.round(slope, 7)) == set(np.round(levels, 7)):
        elsewhere = float(np.mean(np.abs(slope - true_slope) > 1e-8))
        yield Fault(
            "mask-redrawn",
            f"{text}uses other positions in {elsewhere:.0%} of the places, as if drawn anew.",
            evidence)


def dout_forgotten(v: WrongGradient) -> Iterator[Fault]:
    """The gradient of the sum of out: dout is not in it."""
    if v.m.out.size > 1:
        yield Fault(
            "missing-factor",
            f"The gradient of {v.name} does not depend on dout: it is the gradient of out.sum(). "
            "Multiply by dout.", "the same answer for different random dout",
            np.broadcast_to(v.jacobian.sum(axis=1), v.analytic.shape), nonlinear=True)


def dout_nowhere(analytic: Array) -> bool:
    """Is it the same, and not zero, for every dout (the first axis)?"""
    return bool(np.any(analytic) and np.all(analytic == analytic[:1]))


def slices(v: WrongGradient) -> Iterator[Fault]:
    """Some part of dout, or of the gradient, never counts."""
    yield from (fault for fault in scaled_parts(v) if fault.kind == "batch-dropped")
    out = v.m.out
    choices = [(a,) for a in range(out.ndim)] + [tuple(range(out.ndim - 1))] * (out.ndim > 2)
    for axes in choices:
        count = math.prod(out.shape[a] for a in axes)
        if not 1 < count <= 64:
            continue
        alone = np.eye(count).reshape(
            count, *(n if a in axes else 1 for a, n in enumerate(out.shape)))
        table = np.array([v.weighted(part).reshape(-1) for part in alone])
        weights, *_ = np.linalg.lstsq(table.T, v.analytic.reshape(-1), rcond=1e-12)
        if not close(v.analytic.reshape(-1), weights @ table) or np.allclose(weights, 1, atol=NEAR):
            continue
        used = [i for i, w in enumerate(weights) if abs(w) > NEAR]
        ones = all(near(weights[i], 1) for i in used)
        place = f"ax{'is' if len(axes) == 1 else 'es'} {', '.join(map(str, axes))} of dout"
        if ones and len(used) == 1 and not (count == 2 and cuts_a_batch(v.m.subject.backward)):
            also = " So part of the batch is dropped, or a sum is missing." if 0 in axes else ""
            yield Fault(
                "missing-broadcast-sum",
                f"{v.name} is used at every place along {place} and its gradient is the sum over "
                f"all {count}; backward counts only number {used[0]}.{also}",
                "least squares over the places gives this one weight 1 and all others weight 0")
        if ones:
            gone = [i for i in range(count) if i not in used]
            yield Fault(
                "batch-dropped", f"Part of dout never counts: {few(gone, '')} along {place}.",
                "least squares over the places gives these weight 0 and all others weight 1")
