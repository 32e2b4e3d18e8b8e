"""Names for what is wrong in float32: clear away the noise, then ask the usual rules.

The rules name a fault when a prediction is met to eight digits, and numbers taken from a function
in float32 have four. Where what backward said is, within those, a plain multiple of the truth, of
the truth transposed or of another input's, it is put in its place exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .measure import Measurement
from .numeric import Array

ENOUGH = 3e-3


def sharpened(m: Measurement) -> Measurement:
    """The measurement with wrong gradients of coarse functions put where they nearly are."""
    analytic = dict(m.analytic)
    for i in m.wrong:
        if m.method[i].coarse:
            best = min(_guesses(m, i), key=lambda g: _gap(m.analytic[i], g), default=None)
            if best is not None and _gap(m.analytic[i], best) <= ENOUGH:
                analytic[i] = best
    return replace(m, analytic=analytic)


def _gap(said: Array, guess: Array) -> float:
    gap = float(np.linalg.norm(said - guess) / max(float(np.linalg.norm(said)), 1e-300))
    return gap if gap == gap else np.inf


def _guesses(m: Measurement, position: int) -> Iterator[Array]:
    said, true = m.analytic[position], m.numeric[position]
    shape = m.subject.shape(position)
    count = len(true)
    if not said.any():
        yield said
    plain = [true]
    for order in itertools.permutations(range(len(shape))):
        if list(order) != sorted(order) and [shape[k] for k in order] == list(shape):
            cube = true.reshape(count, *shape).transpose(0, *(k + 1 for k in order))
            plain.append(cube.reshape(count, -1))
    plain += [
        rows for j, rows in m.numeric.items() if j != position and rows.shape == true.shape
    ]
    for rows in plain:
        size = float(np.sum(rows * rows))
        c = float(np.sum(said * rows)) / size if size else 0.0
        near = round(c * 24) / 24
        whole = near if near and abs(c / near - 1) < ENOUGH else c
        if rows is not true or whole != 1:  # a wrong gradient is not the true one
            yield whole * rows
