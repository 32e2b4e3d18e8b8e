"""Names for a wrong gradient from the two gradients alone: no source code is read here.

Each rule predicts from the true Jacobian what backward would return if it had one certain fault,
for several random `dout` at once. A name is given only when the prediction meets what backward did
return to eight digits; near misses get no name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm, signs
from .fault import Fault, WrongGradient, close, fit, wrong_gradient
from .measure import Measurement
from .multiple import near, plain
from .numeric import ways
from .places import (
    dout_forgotten,
    dout_nowhere,
    elementwise,
    extra_term,
    mask,
    repeated_ids,
    slices,
)
from .rules import (
    factor,
    float32,
    not_finite,
    of_others,
    rearranged,
    scaled,
    shuffled,
    wrong_layout,
    zero,
)
from .sampling import DIRECTIONS, along
from .subject import Subject

NEARLY = 3e-3  # what a coarse gradient may be off from a plain multiple of a prediction
# The first that fits is believed, so the narrow come before the wide: zeros are also a factor of 0,
# and a mask that is forgotten for every element is also a factor.
RULES: list[Callable[[WrongGradient], Iterator[Fault]]] = [
    not_finite,
    zero,
    float32,
    of_others,
    rearranged,
    shuffled,
    elementwise,
    factor,
    extra_term,
    repeated_ids,
    mask,
    dout_forgotten,
    slices,
]


def explain(m: Measurement, position: int) -> list[Fault]:
    """The first fault that explains a gradient of the right shape; or one and a factor; or nothing.
    """
    v = wrong_gradient(m, position)
    for fault in (fault for rule in RULES for fault in rule(v)):
        if fault.predicted is None or close(v.analytic, fault.predicted):
            return [fault]
    return _with_factor(v)


def _with_factor(v: WrongGradient) -> list[Fault]:
    """Two faults at once: a rearrangement and a factor, or a factor and float32."""
    for fault in rearranged(v):
        assert fault.predicted is not None
        c = fit(v.analytic, fault.predicted)
        if close(v.analytic, c * fault.predicted):
            return [fault] if near(c, 1) else [fault, scaled(v, c)]
    # a factor on everything, and float32 besides: then no element agrees on eight digits
    c = fit(v.analytic, v.numeric)
    if abs(c - 1) <= 1e-5:
        return []
    whole = WrongGradient(v.m, v.position, v.analytic, c * v.numeric)
    return [fault for rounding in float32(whole) for fault in (scaled(v, c), rounding)]


def explain_large(subject: Subject, position: int, rng: np.random.Generator) -> Fault | None:
    """The rearrangement, sum or factor that turned the true gradient into what backward returned.
    """
    x = subject.array(position)
    dout = signs(subject.run()[0].shape, rng)
    given = np.asarray(subject.gradients(dout)[position], dtype=np.float64)
    function = subject.out_as_function_of(position)
    method = ways(function, x, rng)[0]
    directions = [signs(x.shape, rng) for _ in range(DIRECTIONS)]
    numeric = np.array([np.sum(dout * method.along(function, x, v)[0]) for v in directions])
    return wrong_layout(
        subject.names[position], x.shape, given[None],
        lambda back: np.array([along(back[0], v) for v in directions]), numeric,
        f"so restored it meets the true derivative along {DIRECTIONS} random directions")


def explain_shape(m: Measurement, position: int) -> Fault | None:
    """Names for a gradient of the wrong shape: unsummed, transposed, or another input's."""
    name, shape = m.subject.names[position], m.subject.shape(position)
    given = np.array([np.asarray(grads[position], dtype=np.float64) for grads in m.returned])
    text = f"{name} has shape {shape}, its gradient has shape {given.shape[1:]}"
    for other, rows in m.numeric.items():
        if other != position and given.shape[1:] == m.subject.shape(other):
            if close(given.reshape(rows.shape), rows):
                owner = m.subject.names[other]
                return Fault("another-input", f"{text}: it is the gradient of {owner}.",
                             f"it equals the true gradient of {owner} {m.digits}")
    found = wrong_layout(
        name, shape, given, lambda back: back.reshape(len(back), -1), m.numeric[position],
        f"so restored it equals the numerical gradient {m.digits}")
    if found and found.kind != "wrong-shape":
        return found
    if dout_nowhere(given) and _broadcasts(given.shape[1:], shape):
        return Fault(
            "missing-factor",
            f"{text}, and does not depend on dout: the factor that dout is in is missing.",
            "the same answer for different random dout", nonlinear=True)
    return None


def _broadcasts(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(given, shape) == shape
    except ValueError:
        return False


def sharpened(m: Measurement) -> Measurement:
    """The measurement with the wrong gradients of coarse functions put where they nearly are.

    The rules need eight digits, and derivatives of a function in float32 have four. Where what
    backward returned is, within those, a plain multiple of the truth, of the truth rearranged or of
    another input's, it is put in its place exactly.
    """
    analytic = dict(m.analytic)
    for i in m.wrong:
        if m.method[i].coarse:
            v = wrong_gradient(m, i)
            best = min(_guesses(v), key=lambda g: _gap(v.analytic, g), default=None)
            if best is not None and _gap(v.analytic, best) <= NEARLY:
                analytic[i] = best
    return replace(m, analytic=analytic)


def _gap(analytic: Array, guess: Array) -> float:
    gap = norm(analytic - guess) / max(norm(analytic), 1e-300)
    return gap if gap == gap else np.inf


def _guesses(v: WrongGradient) -> Iterator[Array]:
    if not v.analytic.any():
        yield v.analytic
    moved = [fault.predicted for fault in (*rearranged(v), *of_others(v))]
    for rows in [v.numeric, *(rows for rows in moved if rows is not None)]:
        c = fit(v.analytic, rows)
        simple = float(plain(c))
        factor = simple if simple and abs(c / simple - 1) < NEARLY else c
        if rows is not v.numeric or factor != 1:  # a wrong gradient is not the true one
            yield factor * rows
