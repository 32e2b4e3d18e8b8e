"""Names for a wrong gradient, found in the numbers alone: no source code is read here.

Each rule predicts from the true Jacobian what backward would return if it had one certain fault,
for several random `dout` at once. A name is given only when the prediction meets what backward did
return to eight digits; near misses get no name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from npgpt.gradcheck.measure import Measurement
from npgpt.gradcheck.numeric import Array
from npgpt.gradcheck.parts import dout_forgotten, elementwise, mask, repeated_ids, slices
from npgpt.gradcheck.rules import another_input, factor, float32, not_finite, permuted, zero
from npgpt.gradcheck.view import Explanation, View, close

RULES:
        found = rule(view)
        if found:
            return [found]
    return _with_factor(view)


def _with_factor(v: View) -> list[Explanation]:
    """Two faults at once: a rearrangement (which keeps the length) and a factor."""
    ratio = float(np.linalg.norm(v.said)) / max(float(np.linalg.norm(v.true)), 1e-300)
    for c in (ratio, -ratio):
        if not np.isfinite(c) or c == 0:
            continue
        scaled = View(v.m, v.position, v.said / c, v.true)
        for rule in (another_input, permuted):
            found = rule(scaled)
            if found:
                second = factor(View(v.m, v.position, c * v.true, v.true))
                return [found] + ([second] if second else [])
    return []


def not_finite(v: View) -> Explanation | None:
    """NaN or infinity."""
    if np.all(np.isfinite(v.said)):
        return None
    count = int((~np.isfinite(v.said[0])).sum())
    return Explanation(
        "not-finite",
        f"{count} of {v.said.shape[1]} elements are NaN or infinite.",
        "the values themselves",
    )


def zero(v: View) -> Explanation | None:
    """Nothing comes back."""
    if np.any(v.said) or not np.any(v.true):
        return None
    return Explanation(
        "zero-gradient",
        f"backward returns only zeros for {v.name}, but moving {v.name} moves the output.",
        f"the true gradient has length {np.linalg.norm(v.true[0]):.3g}",
    )


def float32(v: View) -> Explanation | None:
    """Right to about seven digits: some step ran in float32."""
    gap = float(np.linalg.norm(v.said - v.true))
    size = float(np.linalg.norm(v.true))
    if not 1e-10 * size < gap < 3e-6 * size:
        return None
    exact = bool(np.all(v.said == v.said.astype(np.float32)))
    ratio = np.abs(v.said - v.true) <= 1e-4 * (
        np.abs(v.true) + 1e-3 * size / math.sqrt(v.true.size)
    )
    if not exact and not (np.all(ratio) and gap < 1e-6 * size):
        return None
    slope = fit(v.said, v.true)
    if not exact and abs(slope - 1) > 0.5 * gap / size:
        return None  # a steady factor such as 1.0000003 is not rounding
    rest = "every value is one that float32 can hold" if exact else "the errors have no pattern"
    return Explanation(
        "float32",
        f"The gradient of {v.name} is right to about {-math.log10(gap / size):.0f} digits only: "
        f"right up "
        "to the noise of float32, which is used somewhere on the way.",
        f"relative error {gap / size:.1e}; {rest}",
    )


def fit(said: Array, true: Array) -> float:
    """The number c that brings c * true closest to said."""
    return float(np.sum(said * true) / max(float(np.sum(true * true)), 1e-300))


def factor(v: View) -> Explanation | None:
    """A multiple of the truth: wrong sign, a mean for a sum, or a number with a source."""
    c = fit(v.said, v.true)
    if not close(v.said, c * v.true) or abs(c - 1) < 1e-7:
        return None
    evidence = (
        f"backward = {c:.9g} * the true gradient, to eight digits, for {len(v.said)} random dout"
    )
    if abs(c + 1) < 1e-7:
        return Explanation("wrong-sign", f"The gradient of {v.name} has the wrong sign.", evidence)
    rows = v.m.out.size // max(1, v.m.out.shape[-1] if v.m.out.ndim else 1)
    summed = len(v.shape) < v.m.out.ndim
    if summed and rows > 1 and abs(c * rows - 1) < 1e-7:
        return Explanation(
            "mean-for-sum",
            f"{v.name} is used at {rows} positions and its gradient is the sum over them; backward "
            "takes the mean.",
            evidence,
        )
    return Explanation(
        "factor",
        (
            f"The gradient of {v.name} is too large by a factor of {c:.6g}{origin(c, v)}."
            if abs(c) > 1
            else f"The gradient of {v.name} is too small: it has a factor of {c:.6g} too much{origin(c, v)}."
        ),
        evidence,
    )


def origin(c: float, v: View) -> str:
    """Where a factor may come from, as ': 8 is the size of ...', or ''."""
    for value, text in known_numbers(v.m):
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


def another_input(v: View) -> Explanation | None:
    """The gradient that belongs to another input, alone or added."""
    for other, true in v.m.numeric.items():
        if other == v.position or true.shape != v.true.shape or close(true, v.true):
            continue
        name = v.m.subject.names[other]
        if close(v.said, true):
            both = other in v.m.analytic and close(v.m.analytic[other], v.true)
            return Explanation(
                "another-input",
                (
                    f"The gradients of {v.name} and {name} are swapped."
                    if both
                    else f"This is the gradient of {name}, not of {v.name}."
                ),
                f"it equals the true gradient of {name} to eight digits",
            )
        if close(v.said, v.true + true):
            return Explanation(
                "another-input",
                f"The gradient of {name} was added to that of {v.name}.",
                f"backward = true gradient of {v.name} + true gradient of {name}, to eight digits",
            )
    return None


def permuted(v: View) -> Explanation | None:
    """Transposed, axes swapped, an axis backwards, or reshaped where it should be transposed."""
    true, shape = v.cubes(v.true), v.shape
    for order in itertools.permutations(range(len(shape))):
        if list(order) == sorted(order):
            continue
        moved = true.transpose(0, *(axis + 1 for axis in order))
        last_two = order[:-2] == tuple(range(len(shape) - 2))
        if close(v.said, moved.reshape(len(true), -1)):
            same = moved.shape == true.shape
            word = ("transposed" if last_two else "axes-swapped") if same else "axes-swapped"
            return Explanation(
                word,
                f"The gradient of {v.name} has its axes in the order {order}"
                + (
                    ": it is transposed."
                    if same and last_two
                    else (
                        "."
                        if same
                        else ", pressed into shape by a reshape: transpose back, then reshape."
                    )
                ),
                "the true gradient with its axes so moved equals what backward returned",
            )
    for axis in range(len(shape)):
        if shape[axis] > 1 and close(v.said, np.flip(true, axis + 1).reshape(len(true), -1)):
            return Explanation(
                "axes-swapped",
                f"Axis {axis} of the gradient of {v.name} runs backwards.",
                "the true gradient, flipped, equals what backward returned",
            )
    return _heads(v)


def _heads(v: View) -> Explanation | None:
    """An axis of C channels is really H heads of D, and heads were mixed with another axis."""
    true = v.cubes(v.true)
    for axis, size in enumerate(v.shape):
        for heads in range(2, size):
            if size % heads:
                continue
            split = v.shape[:axis] + (heads, size // heads) + v.shape[axis + 1 :]
            parts = true.reshape(len(true), *split)
            for a, b in itertools.combinations(range(len(split)), 2):
                if close(v.said, parts.swapaxes(a + 1, b + 1).reshape(len(true), -1)):
                    return Explanation(
                        "axes-swapped",
                        f"In the gradient of {v.name}, axis {axis} of {size} was cut into {heads} "
                        f"heads of "
                        f"{size // heads}, and axes {a} and {b} of {split} were swapped.",
                        "the true gradient so rearranged equals what backward returned",
                    )
    return None


def repeated_ids(v: View) -> Explanation | None:
    """Rows that come twice count once: `=` where `+=` (np.add.at) was needed."""
    for name, ids in zip(v.m.subject.names, v.m.subject.inputs, strict=True):
        if ids is None or ids.dtype.kind not in "iu" or v.m.out.ndim == 0:
            continue
        try:
            everywhere = np.broadcast_to(ids, v.m.out.shape[:-1])
        except ValueError:
            continue
        flat = everywhere.reshape(-1)
        count = np.array([np.sum(flat == i) for i in flat]).reshape(everywhere.shape)
        last = np.array([i not in flat[n + 1 :] for n, i in enumerate(flat)]).reshape(
            everywhere.shape
        )
        first = np.array([i not in flat[:n] for n, i in enumerate(flat)]).reshape(everywhere.shape)
        for mask, words in (
            (last, "only the last"),
            (first, "only the first"),
            (1 / count, "the mean"),
        ):
            if np.all(mask == 1):
                continue
            if close(v.said, v.weighted(np.asarray(mask)[..., None])):
                twice = int(flat[np.argmax(count.reshape(-1) > 1)])
                return Explanation(
                    "repeated-ids-overwritten",
                    f"Where an id of {name} comes more than once, {words} of its gradients is "
                    f"kept; they "
                    "must be added (np.add.at does).",
                    f"id {twice} comes {int(np.sum(flat == twice))} times; with {words} of each "
                    f"counted the "
                    "numbers agree to eight digits",
                )
    return None


def mask(v: View) -> Explanation | None:
    """Right wherever the input has any influence, and not zero where it has none."""
    silent = ~np.any(v.jacobian, axis=1)
    if not silent.any() or silent.all():
        return None
    if not close(v.said[:, ~silent], v.true[:, ~silent]) or not np.any(v.said[:, silent]):
        return None
    return Explanation(
        "mask-forgotten",
        f"{int(silent.sum())} elements of {v.name} have no influence on the output (they are "
        f"masked), "
        "but backward gives them a gradient: the mask is missing in backward.",
        "everywhere else the gradient is right",
    )


def elementwise(v: View) -> Explanation | None:
    """Where out[i] depends on x[i] alone: compare the local slopes, which may be a mask."""
    if v.jacobian.shape[0] != v.jacobian.shape[1] or np.any(
        v.jacobian - np.diag(np.diag(v.jacobian))
    ):
        return None
    true = np.diag(v.jacobian)
    slopes = v.said / v.m.douts.reshape(len(v.said), -1)
    said = slopes[0]
    if not close(slopes, np.broadcast_to(said, slopes.shape)):
        return None
    levels = np.unique(np.round(true, 9))
    if len(levels) != 2:
        return None
    low, high = true < levels.mean(), true > levels.mean()
    close_to = lambda part, level: np.allclose(said[part], level, rtol=1e-8, atol=1e-10)
    text = f"out = {v.name} * mask with the mask's values {levels[0]:.6g} and {levels[1]:.6g}; "
    evidence = f"the slopes in backward take the values {np.unique(np.round(said, 6))[:4].tolist()}"
    if (
        close_to(slice(None), levels[1])
        or close_to(slice(None), levels[0])
        or close_to(slice(None), 1.0)
    ):
        return Explanation("mask-forgotten", text + "backward forgets the mask.", evidence)
    if close_to(low, levels[1]) and close_to(high, levels[0]):
        return Explanation("mask-inverted", text + "backward has it the wrong way round.", evidence)
    if levels[0] == 0 and close_to(low, 0.0) and close_to(high, 1.0) and levels[1] != 1:
        return Explanation(
            "mask-not-rescaled",
            text
            + f"backward has the same zeros, but 1 where {levels[1]:.6g} belongs: it is not rescaled.",
            evidence,
        )
    if set(np.round(said, 7)) == set(np.round(levels, 7)):
        share = float(np.mean(np.abs(said - true) > 1e-8))
        return Explanation(
            "mask-redrawn",
            text + f"backward uses other positions in {share:.0%} of the places, as if drawn anew.",
            evidence,
        )
    return None


def dout_forgotten(v: View) -> Explanation | None:
    """The gradient of the sum of out: dout is not in it."""
    total = np.broadcast_to(v.jacobian.sum(axis=1), v.said.shape)
    if v.m.out.size > 1 and close(v.said, total):
        return Explanation(
            "missing-factor",
            f"The gradient of {v.name} does not depend on dout: it is the gradient of out.sum(). "
            "Multiply by dout.",
            "the same answer for different random dout",
        )
    return None


def slices(v: View) -> Explanation | None:
    """Some part of dout, or of the gradient, never counts."""
    own = _own_slices(v)
    if own:
        return own
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
        weights, *_ = np.linalg.lstsq(table.T, v.said.reshape(-1), rcond=1e-12)
        if not close(v.said.reshape(-1), weights @ table) or np.allclose(weights, 1, atol=1e-7):
            continue
        used = [i for i, w in enumerate(weights) if abs(w) > 1e-7]
        ones = all(abs(weights[i] - 1) < 1e-7 for i in used)
        place = f"ax{'is' if len(axes) == 1 else 'es'} {', '.join(map(str, axes))} of dout"
        if ones and len(used) == 1:
            return Explanation(
                "missing-broadcast-sum",
                f"{v.name} is used at every place along {place} and its gradient is the sum over "
                f"all "
                f"{count}; backward counts only number {used[0]}.",
                "least squares over the places gives this one weight 1 and all others weight 0",
            )
        if ones:
            gone = [i for i in range(count) if i not in used]
            return Explanation(
                "batch-dropped",
                f"Part of dout never counts: number {_few(gone)} along {place}.",
                "least squares over the places gives these weight 0 and all others weight 1",
            )
    return None


def _own_slices(v: View) -> Explanation | None:
    said, true = v.cubes(v.said), v.cubes(v.true)
    for axis, size in enumerate(v.shape):
        if size < 2:
            continue
        pairs = [(said.take(i, axis + 1), true.take(i, axis + 1)) for i in range(size)]
        right = [close(s, t) or not np.any(s) and not np.any(t) for s, t in pairs]
        gone = [i for i, (s, t) in enumerate(pairs) if not np.any(s) and np.any(t)]
        if gone and all(ok or i in gone for i, ok in enumerate(right)):
            return Explanation(
                "batch-dropped",
                f"Part of the gradient of {v.name} is zero: number {_few(gone)} of {size} along "
                f"axis {axis}.",
                "all the rest is right",
            )
    return None


def _few(numbers: list[int]) -> str:
    text = ", ".join(map(str, numbers[:6]))
    return text + (", ..." if len(numbers) > 6 else "")


def explain_shape(m: Measurement, position: int) -> Explanation | None:
    """Names for a gradient of the wrong shape: unsummed, transposed, or another input's."""
    name, shape = m.subject.names[position], m.subject.shape(position)
    said = [np.asarray(g[position], dtype=np.float64) for g in m.returned]
    true = [row.reshape(shape) for row in m.numeric[position]]
    given = said[0].shape
    told = f"{name} has shape {shape}, its gradient has shape {given}"

    def fits(change: Callable[[Array], Array], goal: list[Array]) -> bool:
        moved = [change(s) for s in said]
        return all(a.shape == b.shape for a, b in zip(moved, goal, strict=True)) and close(
            np.array(moved), np.array(goal)
        )

    for other, rows in m.numeric.items():
        if other != position and fits(
            lambda s: s, [r.reshape(m.subject.shape(other)) for r in rows]
        ):
            return Explanation(
                "another-input",
                f"{told}: it is the gradient of {m.subject.names[other]}.",
                f"it equals the true gradient of {m.subject.names[other]} to eight digits",
            )
    for order in itertools.permutations(range(len(given))):
        if list(order) == sorted(order):
            continue
        for sign, words in ((1, ""), (-1, ", and its sign is wrong")):
            if fits(lambda s: sign * s.transpose(order), true):
                last_two = order[:-2] == tuple(range(len(given) - 2))
                return Explanation(
                    "transposed" if last_two else "axes-swapped",
                    f"{told}: it is {'transposed' if last_two else f'permuted by {order}'}{words}.",
                    "transposed back it equals the numbers to eight digits",
                )
    for count in range(1, len(given) + 1):
        for axes in itertools.combinations(range(len(given)), count):
            for keep in (False, True):
                if fits(
                    lambda s: s.sum(axis=axes, keepdims=keep).reshape(
                        shape if s.sum(axis=axes).size == math.prod(shape) else (-1,)
                    ),
                    true,
                ):
                    return Explanation(
                        "missing-broadcast-sum",
                        f"{told}: {name} was broadcast in forward, so backward must sum over ax"
                        f"{'is' if count == 1 else 'es'} {', '.join(map(str, axes))}.",
                        "so summed it equals the numbers to eight digits",
                    )
    return None


RULES: list[Callable[[View], Explanation | None]] = [
    not_finite,
    zero,
    float32,
    another_input,
    permuted,
    elementwise,
    factor,
    repeated_ids,
    mask,
    dout_forgotten,
    slices,
]


def explain(m: Measurement, position: int) -> list[Explanation]:
    """The first rule that fits a gradient of the right shape; or one and a factor; or nothing."""
    view = View(m, position, m.analytic[position], m.numeric[position])
    for rule in RULES:
        found = rule(view)
        if found:
            return [found]
    return _with_factor(view)


def _with_factor(v: View) -> list[Explanation]:
    """Two faults at once: a rearrangement (which keeps the length) and a factor."""
    ratio = float(np.linalg.norm(v.said)) / max(float(np.linalg.norm(v.true)), 1e-300)
    for c in (ratio, -ratio):
        if not np.isfinite(c) or c == 0:
            continue
        scaled = View(v.m, v.position, v.said / c, v.true)
        for rule in (another_input, permuted):
            found = rule(scaled)
            if found:
                second = factor(View(v.m, v.position, c * v.true, v.true))
                return [found] + ([second] if second else [])
    return []



