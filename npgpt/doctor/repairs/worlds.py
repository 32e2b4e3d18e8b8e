"""The user's pair at some inputs, run with whatever change its functions have at the moment, and
the gradients that are true there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm, signs
from ...gradcheck.pair import ContractError
from ..evidence.measure import Measurement
from ..evidence.subject import CallError, Subject, users_code

RIGHT = 1e-9  # the error of a repaired gradient that is rounding, as a fraction of it
ORDERS = 3  # of the given values: each place has another sign, where the code takes that
STEP = 1e-5  # of a difference that is good for six digits
Grads = dict[int, Array]


class OutChanged(Exception):
    """An edit changed what forward gives."""


@dataclass
class Budget:
    """How many runs are left; a count, so that a slow machine finds as much."""

    left: int


class World:
    """The pair at some inputs, and the true gradients there."""

    def __init__(self, m: Measurement) -> None:
        self.m, self.out = m, m.out
        self.positions = list(m.numeric)
        self.going_back = False

    def run(self, k: int) -> Grads:
        """The gradients that the pair as it now is gives for one dout; CallError where it raises,
        or where forward gives another out."""
        m = self.m
        with users_code():
            try:
                self.going_back = False
                out, cache = m.subject.run()
                if out.shape != self.out.shape or norm(out - self.out) > 1e-9 * norm(self.out):
                    raise OutChanged
                self.going_back = True
                grads = m.subject.call_backward(m.douts[k].copy(), cache)
            except ContractError as error:  # what the edit makes of a pair need not be one
                raise CallError(error) from error
            if len(grads) <= max(self.positions):
                raise ValueError("expected a gradient for each input")
            return {i: np.asarray(grads[i], dtype=np.float64) for i in self.positions
                    if grads[i] is not None}

    def right(self, k: int, grads: Grads) -> set[int]:
        """The positions whose gradient is the true one."""
        m, found = self.m, set()
        for i in self.positions:
            true, given = m.numeric[i][k], grads.get(i)
            if given is None or given.shape != m.subject.shape(i):
                continue
            allowed = RIGHT * (norm(true) or 1.0) + 1e-12 + float(
                norm(m.errors[i] @ np.abs(m.douts[k]).reshape(-1)))
            if norm(given.reshape(-1) - true) <= allowed:
                found.add(i)
        return found

    def error(self, k: int, grads: Grads, wanted: list[int]) -> Array:
        """What is missing to the truth, all in a row."""
        return np.concatenate([self.m.numeric[i][k] - grads[i].reshape(-1) for i in wanted])


class Elsewhere(World):
    """The pair at other inputs, where it is enough to compare along one direction for each."""

    def __init__(self, subject: Subject, positions: list[int]) -> None:
        rng = np.random.default_rng(77)
        with users_code():
            out = np.asarray(subject.run()[0], dtype=np.float64)
        douts = signs(out.shape, rng)[None]
        super().__init__(Measurement(subject, out, douts, []))
        self.positions = positions
        self.along = {i: rng.standard_normal(subject.shape(i)) for i in positions}
        self.slopes = {i: self.slope(i, v) for i, v in self.along.items()}

    def slope(self, i: int, v: Array) -> float:
        """How sum(dout * out) changes if input i goes along v."""
        totals = []
        for t in (STEP, -STEP):
            with users_code():
                out = self.m.subject.with_input(i, self.m.subject.array(i) + t * v).run()[0]
                totals.append(float(np.sum(self.m.douts[0] * out)))
        return (totals[0] - totals[1]) / (2 * STEP)

    def right(self, k: int, grads: Grads) -> set[int]:
        """The positions whose gradient fits the difference along a direction."""
        return {i for i, v in self.along.items() if (g := grads.get(i)) is not None
                and g.shape == v.shape and abs(float(np.sum(g * v)) - self.slopes[i]) <= 1e-6 * (
                    abs(self.slopes[i]) + norm(g * v)) + 1e-9}


def elsewhere(subject: Subject) -> Iterator[list[Subject]]:
    """The same pair at other values, with other settings, at the given values in another order, and
    with each size in turn a little larger, as far as it can be: each time the ways to do it, of
    which one will do."""
    rng = np.random.default_rng(11)

    def moved(inputs: list[Any]) -> Subject:
        return subject.with_inputs([
            a * np.exp(0.3 * rng.standard_normal(a.shape)) if i in subject.floats else a
            for i, a in enumerate(inputs)])

    yield [moved(list(subject.inputs))]
    if (other := subject.varied()) is not None:
        yield [other]
    for _ in range(ORDERS):
        yield [moved([rng.permutation(subject.array(i).reshape(-1)).reshape(subject.shape(i))
                      if i in subject.floats else a for i, a in enumerate(subject.inputs)])]
    sizes = sorted({n for a in subject.inputs if a is not None for n in a.shape if n > 1})
    for n in sizes:
        other = next(k for k in itertools.count(n + 1) if k not in sizes)
        yield [moved([None if a is None else grown(a, n, to, together, i in subject.floats)
                      for i, a in enumerate(subject.inputs)])
               for to in (other, 2 * n) for together in (False, True)]


def grown(a: Array, n: int, other: int, together: bool, repeat: bool) -> Array:
    """An array whose axes of length n (or, `together`, of a multiple) are longer: its values begin
    again, or zeros follow."""
    for axis, size in enumerate(a.shape):
        if size == n or together and size % n == 0:
            b = a.take(np.arange(size // n * other) % size, axis)
            if not repeat and axis and a.dtype.kind == "f":
                b[(slice(None),) * axis + (slice(size, None),)] = 0
            a = b
    return a
