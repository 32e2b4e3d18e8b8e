"""Names for what is wrong in float32: clear away the noise, then ask the usual rules.

The rules name a fault when a prediction is met to eight digits, and derivatives of a function in
float32 have four. Where what backward returned is, within those, a plain multiple of the truth, of
the truth rearranged or of another input's, it is put in its place exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .fault import WrongGradient, fit, wrong_gradient
from .layout import rearranged
from .measure import Measurement
from .multiple import plain
from .numeric import Array, norm
from .rules import of_others

ENOUGH = 3e-3


def sharpened(m: Measurement) -> Measurement:
    """The measurement with wrong gradients of coarse functions put where they nearly are."""
    analytic = dict(m.analytic)
    for i in m.wrong:
        if m.method[i].coarse:
            v = wrong_gradient(m, i)
            best = min(_guesses(v), key=lambda g: _gap(v.analytic, g), default=None)
            if best is not None and _gap(v.analytic, best) <= ENOUGH:
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
        factor = simple if simple and abs(c / simple - 1) < ENOUGH else c
        if rows is not v.numeric or factor != 1:  # a wrong gradient is not the true one
            yield factor * rows
