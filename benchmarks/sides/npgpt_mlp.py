"""npgpt's side of micrograd's demo: a step of its network, by tape and textbook."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from npgpt.ops import TEXTBOOK as ops
from npgpt.tape import Tape, Var

from .moons import DECAY, RATE, moons, weights


def prepare(points: int) -> Callable[[], Any]:
    """A callable that does one step of gradient descent on all points, and gives its loss."""
    x, labels = moons(points)
    signs, params = labels[:, None], weights()

    def once() -> dict[str, float]:
        tape = Tape()
        watched = [(tape.watch(w), tape.watch(b)) for w, b in params]
        scores: Var = ops.linear(x, *watched[0])
        for w, b in watched[1:]:
            scores = ops.linear(ops.relu(scores), w, b)
        margins = np.maximum(1.0 - signs * scores.value, 0.0)           # (points, 1)
        loss = margins.mean() + DECAY * sum((p * p).sum() for pair in params for p in pair)
        grads = tape.backward(scores, -signs * (margins > 0) / points)
        for pair, variables in zip(params, watched):
            for p, variable in zip(pair, variables):
                p -= RATE * (grads[variable] + 2 * DECAY * p)
        return {"loss": float(loss)}

    return once
