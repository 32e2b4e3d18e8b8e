"""micrograd's side: a step of its demo, a network for two half moons, number by number."""

from __future__ import annotations

import sys
from typing import Any, Callable

from .moons import DECAY, RATE, SIZES, moons, weights


def prepare(path: str, points: int) -> Callable[[], Any]:
    """A callable that does one step of gradient descent; `path` is a clone of micrograd."""
    sys.path.insert(0, path)
    from micrograd.nn import MLP

    x, labels = moons(points)
    model = MLP(SIZES[0], list(SIZES[1:]))
    for layer, (weight, bias) in zip(model.layers, weights()):
        for neuron, column, b in zip(layer.neurons, weight.T, bias):
            neuron.b.data = float(b)
            for value, w in zip(neuron.w, column):
                value.data = float(w)
    rows, signs = x.tolist(), labels.tolist()

    def once() -> dict[str, float]:
        losses = [(1 - sign * model(row)).relu() for sign, row in zip(signs, rows)]
        loss = sum(losses) * (1.0 / len(losses)) + DECAY * sum(p * p for p in model.parameters())
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= RATE * p.grad
        return {"loss": loss.data}

    return once
