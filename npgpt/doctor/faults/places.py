"""Faults of places: parts of dout or of the gradient that have a weight of their own. Repeated ids,
masks, slices that never count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm
from ..evidence.fault import DIGITS, NEAR, Fault, close, fit, gives
from ..evidence.measure import Evidence
from ..reading.source import cuts_a_batch
from .multiple import near


def common_ratio(given: Array, truth: Array) -> float | None:
    """The number c that most elements agree on in given = c * truth; None if there is none."""
    typical = float(np.sqrt(np.mean(np.square(truth)))) if truth.size else 0.0
    if not norm(truth) > 1e-9 * norm(given):
        return None     # anything is a multiple of nearly nothing
    there = (np.abs(truth) > 1e-3 * typical) & (given != 0) & np.isfinite(given)
    ratios = np.sort((given[there] / truth[there]).reshape(-1))
    if len(ratios) < 4:
        return None
    ends = np.searchsorted(ratios, ratios + 2e-8 * np.abs(ratios), side="right")
    counts = ends - np.arange(len(ratios))
    start = int(np.argmax(counts))
    if counts[start] < max(4, len(ratios) // 4):
        return None
    c = float(np.median(ratios[start : ends[start]]))
    return float(round(c)) if near(c, round(c)) else c


def scaled_parts(v: Evidence) -> Iterator[Fault]:
    """What backward would return if some slices along an axis had a factor of their own."""
    truth = v.cubes(v.truth)
    seen = slice(1 if v.scalar else None)   # of a loss, each dout shows the same
    for axis, size in enumerate(v.shape):
        if not 1 < size <= 64:
            continue
        factors = np.ones(size)
        for n in range(size):
            here, there = v.given[seen].take(n, axis + 1), truth[seen].take(n, axis + 1)
            if not np.any(here) and np.any(there):
                factors[n] = 0.0
            else:
                ratio = common_ratio(here, there)
                factors[n] = 1.0 if ratio is None else ratio
        off = [n for n in range(size) if abs(factors[n] - 1) > NEAR]
        if not off or len(off) == size:
            continue
        along = np.expand_dims(factors, tuple(range(1, truth.ndim - 1 - axis)))
        yield _of_parts(v, few(off, f" of {size} along axis {axis}"), factors[off], along)


def few(places: list[int], of: str) -> str:
    """number 1, 2, ... of so many."""
    return f"number {', '.join(map(str, places[:6]))}{', ...' if len(places) > 6 else ''}{of}"


def _of_parts(v: Evidence, where: str, factors: Array, along: Array) -> Fault:
    part = f"Part of the gradient of {v.name}"
    if not np.any(factors):
        kind, text = "batch-dropped", f"{part} is zero: {where}, counted from 0."
    elif np.all(np.abs(factors + 1) < NEAR):
        kind, text = "wrong-sign", f"{part} has the wrong sign: {where}, counted from 0."
    else:
        values = ", ".join(f"{c:.6g}" for c in factors[:6])
        kind, text = "factor", f"{part} has a wrong factor: {where} is {values} times the true one."
    return Fault(kind, text, f"the ratio of most elements there, the same {v.words}",
                 predict=lambda truth: (v.cubes(truth) * along).reshape(len(truth), -1))


def slices(v: Evidence) -> Iterator[Fault]:
    """Some part of dout, or of the gradient, never counts."""
    yield from (fault for fault in scaled_parts(v) if fault.kind == "batch-dropped")
    out, subject = v.measurement.out, v.subject
    choices = [(a,) for a in range(out.ndim)] + [tuple(range(out.ndim - 1))] * (out.ndim > 2)
    for axes in choices:
        count = math.prod(out.shape[a] for a in axes)
        if not 1 < count <= 64:
            continue
        alone = np.eye(count).reshape(
            count, *(n if a in axes else 1 for a, n in enumerate(out.shape)))
        table = np.array([v.weighted(part).reshape(-1) for part in alone])
        weights, *_ = np.linalg.lstsq(table.T, v.rows.reshape(-1), rcond=1e-12)
        if not close(v.rows.reshape(-1), weights @ table, v.digits) or np.allclose(
                weights, 1, atol=NEAR):
            continue
        used = [i for i, w in enumerate(weights) if abs(w) > NEAR]
        if not all(near(weights[i], 1) for i in used):
            continue
        place = f"ax{'is' if len(axes) == 1 else 'es'} {', '.join(map(str, axes))} of dout"
        cut = subject.readable and cuts_a_batch(subject.backward)
        if len(used) == 1 and not (count == 2 and cut):
            also = " So part of the batch is dropped, or a sum is missing." if 0 in axes else ""
            yield Fault(
                "missing-broadcast-sum",
                f"{v.name} is used at every place along {place} and its gradient is the sum over "
                f"all {count}; backward counts only number {used[0]}, counted from 0.{also}",
                "least squares over the places gives this one weight 1 and all others weight 0",
                cause=(place, *used))
        gone = [i for i in range(count) if i not in used]
        yield Fault(
            "batch-dropped",
            f"Part of dout never counts: {few(gone, '')} along {place}, counted from 0.",
            "least squares over the places gives these weight 0 and all others weight 1",
            cause=(place, *gone))


def repeated_ids(v: Evidence) -> Iterator[Fault]:
    """Rows that come twice count once: `=` where `+=` (np.add.at) was needed."""
    out = v.measurement.out
    for name, ids in zip(v.subject.names, v.subject.inputs, strict=True):
        if ids is None or ids.dtype.kind not in "iu" or out.ndim == 0:
            continue
        if np.unique(ids).size == ids.size:     # only the batch repeats them: a sum is missing
            continue
        try:
            everywhere = np.broadcast_to(ids, out.shape[:-1])
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
            if np.all(weight == 1):
                continue
            twice = int(np.argmax(count > 1))
            yield Fault(
                "repeated-ids-overwritten",
                f"Where an id of {name} comes more than once, {words} of its gradients counts; "
                "they must be added (by np.add.at, index_add_ in PyTorch, .at[ids].add in JAX).",
                f"id {flat[twice]} comes {count[twice]} times; with {words} of each counted the "
                f"two gradients agree {v.words}",
                predict=gives(v.weighted(weight)), cause=(name, words))


def mask(v: Evidence) -> Iterator[Fault]:
    """Right wherever the input has any influence, up to a factor, and not zero where it has none.
    """
    silent = ~np.any(v.jacobian, axis=1)
    if not silent.any() or silent.all() or not np.any(v.rows[:, silent]):
        return
    c = fit(v.rows[:, ~silent], v.truth[:, ~silent])
    if abs(c) < NEAR or not close(v.rows[:, ~silent], c * v.truth[:, ~silent], v.digits):
        return
    count = int(silent.sum())
    chosen = np.all(np.count_nonzero(v.jacobian, axis=0) == 1)
    if chosen:
        text = (f"Each element of the output follows from one element of {v.name} alone, such as a "
                f"maximum: the gradient is that one's. Backward gives the {count} others one too")
    else:
        text = (f"{count} elements of {v.name} have no influence on the output (they are masked), "
                "but backward gives them a gradient: the mask is missing in backward")
    rest = "." if near(c, 1) else f", and the rest has {c:.6g} times the true one."
    yield Fault("mask-forgotten", text + rest, "everywhere else the gradient is right" + (
        "" if near(c, 1) else " up to this factor"))


def elementwise(v: Evidence) -> Iterator[Fault]:
    """Where out[i] depends on x[i] alone: compare the local slopes, which may be a mask."""
    jacobian, douts = v.jacobian, v.measurement.douts
    if jacobian.shape[0] != jacobian.shape[1] or np.any(jacobian - np.diag(np.diag(jacobian))):
        return
    true_slope = np.diag(jacobian)
    slopes = v.rows / douts.reshape(len(douts), -1)
    slope = slopes[0]
    levels = np.unique(np.round(true_slope, 9))
    if len(levels) != 2 or not close(slopes, np.broadcast_to(slope, slopes.shape)):
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
        if np.allclose(slope, expected, rtol=DIGITS, atol=1e-10):
            yield Fault(kind, text + words, evidence)
    if set(np.round(slope, 7)) == set(np.round(levels, 7)):
        elsewhere = float(np.mean(np.abs(slope - true_slope) > DIGITS))
        yield Fault(
            "mask-redrawn",
            f"{text}uses other positions in {elsewhere:.0%} of the places, as if drawn anew.",
            evidence)
