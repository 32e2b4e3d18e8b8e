"""The rules about places: repeated ids, masks, a forgotten dout, parts of dout that never count."""

from __future__ import annotations

import numpy as np

from .elements import few, scaled_parts
from .fault import Fault, WrongGradient, close
from .multiple import NEAR, near
from .numeric import Array
from .source import cuts_a_batch


def repeated_ids(v: WrongGradient) -> Fault | None:
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
            if not np.all(weight == 1) and close(v.analytic, v.weighted(weight)):
                twice = int(np.argmax(count > 1))
                return Fault(
                    "repeated-ids-overwritten",
                    f"Where an id of {name} comes more than once, {words} of its gradients "
                    "counts; they must be added (np.add.at does).",
                    f"id {flat[twice]} comes {count[twice]} times; with {words} of each counted "
                    f"the two gradients agree {v.m.digits}")
    return None


def mask(v: WrongGradient) -> Fault | None:
    """Right wherever the input has any influence, and not zero where it has none."""
    silent = ~np.any(v.jacobian, axis=1)
    if not silent.any() or silent.all():
        return None
    right = close(v.analytic[:, ~silent], v.numeric[:, ~silent])
    if not right or not np.any(v.analytic[:, silent]):
        return None
    return Fault(
        "mask-forgotten",
        f"{int(silent.sum())} elements of {v.name} have no influence on the output (they are "
        "masked), but backward gives them a gradient: the mask is missing in backward.",
        "everywhere else the gradient is right")


def elementwise(v: WrongGradient) -> Fault | None:
    """Where out[i] depends on x[i] alone: compare the local slopes, which may be a mask."""
    if v.jacobian.shape[0] != v.jacobian.shape[1] or np.any(
        v.jacobian - np.diag(np.diag(v.jacobian))
    ):
        return None
    true_slope = np.diag(v.jacobian)
    slopes = v.analytic / v.m.douts.reshape(len(v.analytic), -1)
    slope = slopes[0]
    if not close(slopes, np.broadcast_to(slope, slopes.shape)):
        return None
    levels = np.unique(np.round(true_slope, 9))
    if len(levels) != 2:
        return None
    low, high = true_slope < levels.mean(), true_slope > levels.mean()

    def close_to(part: Array | slice, level: float) -> bool:
        return np.allclose(slope[part], level, rtol=1e-8, atol=1e-10)

    text = f"out = {v.name} * mask with the mask's values {levels[0]:.6g} and {levels[1]:.6g}; "
    values = np.unique(np.round(slope, 6))[:4].tolist()
    evidence = f"the slopes in backward take the values {values}"
    if any(close_to(slice(None), level) for level in (*levels, 1.0)):
        return Fault("mask-forgotten", text + "backward forgets the mask.", evidence)
    if close_to(low, levels[1]) and close_to(high, levels[0]):
        return Fault("mask-inverted", text + "backward has it the wrong way round.", evidence)
    if levels[0] == 0 and close_to(low, 0.0) and close_to(high, 1.0) and levels[1] != 1:
        return Fault(
            "mask-not-rescaled",
            text + f"backward has the same zeros, but 1 for {levels[1]:.6g}: it is not rescaled.",
            evidence)
    if set(np.round(slope, 7)) == set(np.round(levels, 7)):
        elsewhere = float(np.mean(np.abs(slope - true_slope) > 1e-8))
        return Fault(
            "mask-redrawn",
            text + f"backward uses other positions in {elsewhere:.0%} of the places, as if drawn "
            "anew.", evidence)
    return None


def dout_forgotten(v: WrongGradient) -> Fault | None:
    """The gradient of the sum of out: dout is not in it."""
    total = np.broadcast_to(v.jacobian.sum(axis=1), v.analytic.shape)
    if v.m.out.size > 1 and close(v.analytic, total):
        return Fault(
            "missing-factor",
            f"The gradient of {v.name} does not depend on dout: it is the gradient of out.sum(). "
            "Multiply by dout.", "the same answer for different random dout", nonlinear=True)
    return None


def dout_nowhere(analytic: Array) -> bool:
    """Is it the same, and not zero, for every dout (the first axis)?"""
    return bool(np.any(analytic) and np.all(analytic == analytic[:1]))


def slices(v: WrongGradient) -> Fault | None:
    """Some part of dout, or of the gradient, never counts."""
    for fault in scaled_parts(v):
        if fault.kind == "batch-dropped" and fault.predicted is not None:
            if close(v.analytic, fault.predicted):
                return fault
    out = v.m.out
    choices = [(a,) for a in range(out.ndim)] + [tuple(range(out.ndim - 1))] * (out.ndim > 2)
    for axes in choices:
        sizes = tuple(out.shape[a] for a in axes)
        count = int(np.prod(sizes))
        if not 1 < count <= 64:
            continue
        parts = []
        for index in np.ndindex(*sizes):
            keep = np.zeros(out.shape)
            where: list[int | slice] = [slice(None)] * out.ndim
            for a, i in zip(axes, index, strict=True):
                where[a] = i
            keep[tuple(where)] = 1.0
            parts.append(v.weighted(keep).reshape(-1))
        table = np.array(parts)
        weights, *_ = np.linalg.lstsq(table.T, v.analytic.reshape(-1), rcond=1e-12)
        if not close(v.analytic.reshape(-1), weights @ table) or np.allclose(weights, 1, atol=NEAR):
            continue
        used = [i for i, w in enumerate(weights) if abs(w) > NEAR]
        ones = all(near(weights[i], 1) for i in used)
        place = f"ax{'is' if len(axes) == 1 else 'es'} {', '.join(map(str, axes))} of dout"
        if ones and len(used) == 1 and not (count == 2 and cuts_a_batch(v.m.subject.backward)):
            also = " So part of the batch is dropped, or a sum is missing." if 0 in axes else ""
            return Fault(
                "missing-broadcast-sum",
                f"{v.name} is used at every place along {place} and its gradient is the sum over "
                f"all {count}; backward counts only number {used[0]}.{also}",
                "least squares over the places gives this one weight 1 and all others weight 0")
        if ones:
            gone = [i for i in range(count) if i not in used]
            return Fault(
                "batch-dropped", f"Part of dout never counts: {few(gone, '')} along {place}.",
                "least squares over the places gives these weight 0 and all others weight 1")
    return None
