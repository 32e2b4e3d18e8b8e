"""Mistakes that everybody makes once, each with the words that help: they are seen in the values
alone, whatever the code looks like.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..evidence.fault import Fault, close, gives
from ..evidence.measure import Evidence


def of_softmax(v: Evidence) -> Iterator[Fault]:
    """The well-known mistakes of softmax and cross-entropy."""
    yield from _diagonal(v)
    yield from _onehot(v)


def _diagonal(v: Evidence) -> Iterator[Fault]:
    """The sigmoid's derivative, which is softmax's diagonal alone."""
    out, douts = v.measurement.out, v.measurement.douts
    if out.shape != v.shape or not out.ndim or np.any(out < 0):
        return
    axes = [axis for axis in range(out.ndim) if np.allclose(out.sum(axis), 1)]
    for axis in axes:
        diagonal = (douts * out * (1 - out)).reshape(len(douts), -1)
        yield Fault(
            "softmax-diagonal",
            f"This is the derivative of the sigmoid, `out * (1 - out)`. Of softmax it is the "
            f"diagonal only: each output depends on all inputs along axis {axis}. "
            f"`out * (dout - (dout * out).sum({axis}, keepdims=True))` would be right.",
            f"it equals dout * out * (1 - out) {v.words}", predict=gives(diagonal))


def _onehot(v: Evidence) -> Iterator[Fault]:
    """Cross-entropy's gradient is softmax(x) minus one at the target; the one is forgotten."""
    if not v.shape:
        return
    gap = v.cubes(v.rows - v.truth)
    truth, x = v.cubes(v.truth), v.subject.array(v.position)
    e = np.exp(x - x.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    # one element of each row is off, by what the others need to sum to zero
    weight = gap.sum(-1, keepdims=True)
    place = np.abs(gap).max(0) > 1e-8 * np.abs(gap).max()
    if not np.any(place) or np.any(place.sum(-1) > 1):
        return
    rows = place.any(-1)
    if close(truth[:, rows], (weight * (p - place))[:, rows], v.digits):
        yield Fault(
            "one-hot-forgotten",
            f"The one-hot target is never subtracted: the gradient of cross-entropy is softmax("
            f"{v.name}) - 1 at the target of each row, and softmax({v.name}) elsewhere.",
            f"the gradient given is that of softmax({v.name}) without the target {v.words}")
