"""Is a piece right, and is a fault one? Answered by five-point differences, not by the check.

A right piece agrees with them to AGREE at its inputs; a fault's gradients differ from the right
piece's by more than DIFFERS, or it raises, writes into what is not its own, or remembers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .piece import Inputs, Piece, backward, forward, inputs_of, random_dout

AGREE = 1e-8  # the differences' own error is about 1e-11
DIFFERS = 1e-9
STEP = 2e-3


def _total(module: ModuleType, inputs: Inputs, dout: Any) -> float:
    out = forward(module, inputs)[0]
    parts = zip(out, dout) if isinstance(out, tuple) else [(out, dout)]
    return float(sum(np.sum(o * d) for o, d in parts))


def numeric(module: ModuleType, inputs: Inputs, dout: Any) -> dict[str, Any]:
    """The gradients of sum(dout * out) by differences, every element of every input."""
    grads = {}
    for name in inputs.floats:
        grads[name] = np.zeros(inputs.values[name].shape)
        for index in np.ndindex(grads[name].shape):
            for step, weight in ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12)):
                values = {n: v.copy() for n, v in inputs.values.items()}
                values[name][index] += step * STEP
                moved = Inputs(values, inputs.floats, inputs.sizes)
                grads[name][index] += weight * _total(module, moved, dout) / STEP
    return grads


def gradients(module: ModuleType, inputs: Inputs) -> tuple[dict[str, Any], Any]:
    """(what the piece gives, the dout that it was given)."""
    out, names = forward(module, inputs)
    dout = random_dout(module, out)
    given = tuple(np.copy(d) for d in dout) if isinstance(dout, tuple) else np.copy(dout)[()]
    with np.errstate(all="ignore"):
        return backward(module, names, given), dout


def error(given: Any, true: Any) -> float:
    """How far a gradient is from the true one, of its length; infinite for another shape."""
    if given is None or np.shape(given) != np.shape(true):
        return float("inf")
    gap = float(np.linalg.norm(np.asarray(given, float) - true))
    return gap / (float(np.linalg.norm(true)) + 1e-3) if np.isfinite(gap) else float("inf")


def wrong_by_differences(piece: Piece) -> list[str]:
    """The inputs of a piece whose gradients are not what differences say; [] for a right one."""
    with tempfile.TemporaryDirectory() as folder:
        module = piece.load(Path(folder))
        inputs = inputs_of(module)
        grads, dout = gradients(module, inputs)
        true = numeric(module, inputs, dout)
    return [name for name in inputs.floats if not error(grads[name], true[name]) < AGREE]


def symptoms(right: Piece, faulty: Piece, text: str = "") -> list[str]:
    """What is wrong with a fault beside the right piece, at the inputs `text` (USE's if empty):
    the inputs with another gradient, and `raises`, `writes`, `remembers`; [] if nothing is."""
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        good, bad = right.load(Path(folder)), faulty.load(Path(folder))
        inputs = inputs_of(good, text)
        true = gradients(good, inputs)[0]
        try:
            given = gradients(bad, inputs)[0]
        except Exception:
            return ["raises"]
        found = [name for name in inputs.floats if not error(given[name], true[name]) < DIFFERS]
        found += ["writes"] * _writes(bad, inputs)
        others, fresh = inputs_of(good, text, 9), faulty.load(Path(folder))
        return found + ["remembers"] * _remembers(fresh, inputs, others, given)


def _writes(module: ModuleType, inputs: Inputs) -> bool:
    """Does a call change an input or dout, or does a second backward give another answer?"""
    out, names = forward(module, inputs)
    dout = random_dout(module, out)
    first = {n: np.copy(g) for n, g in backward(module, names, dout).items()}
    again = random_dout(module, out)
    if any(not np.array_equal(a, b) for a, b in zip(_tuple(dout), _tuple(again))):
        return True
    if any(not np.array_equal(names[n], v) for n, v in inputs.values.items()):
        return True
    second = backward(module, names, again)
    return any(error(second[n], g) > DIFFERS for n, g in first.items())


def _remembers(module: ModuleType, inputs: Inputs, others: Inputs, given: dict[str, Any]) -> bool:
    """Do calls on other inputs, before and between forward and backward, change the gradients?"""
    gradients(module, others)
    out, names = forward(module, inputs)
    forward(module, others)
    again = backward(module, names, random_dout(module, out))
    return any(error(again[n], g) > DIFFERS for n, g in given.items() if g is not None)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
