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

from .elements import extra_term
from .measure import Measurement
from .numeric import Array
from .parts import dout_forgotten, dout_nowhere, elementwise, mask, repeated_ids, slices
from .rules import another_input, factor, float32, not_finite, permuted, scaled, shuffled, zero
from .view import Explanation, View, close, fit

RULES: list[Callable[[View], Explanation | None]] = [
    not_finite,
    zero,
    float32,
    another_input,
    permuted,
    shuffled,
    elementwise,
    factor,
    extra_term,
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
    return _factor_and_rounding(v)


def _factor_and_rounding(v: View) -> list[Explanation]:
    """A factor on everything, and float32 besides: then no element agrees on eight digits."""
    c = fit(v.said, v.true)
    whole = View(v.m, v.position, v.said, c * v.true)
    rounding = float32(whole) if abs(c - 1) > 1e-5 else None
    return [scaled(v, c), rounding] if rounding else []


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
                    f"{told}: it is"
                    f" {'transposed' if last_two else f'permuted by {order}'}{words}.",
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
    if dout_nowhere(np.array(said)) and _broadcasts(given, shape):
        return Explanation(
            "missing-factor",
            f"{told}, and does not depend on dout: the factor that dout is in is missing.",
            "the same answer for different random dout",
        )
    return None


def _broadcasts(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(given, shape) == shape
    except ValueError:
        return False
