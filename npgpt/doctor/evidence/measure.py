"""The measurement: what backward returns and what is true, for several random `dout`.

Moving one element of an input gives a whole column of the Jacobian, so the true gradient for
*every* `dout` costs no more than for one. The diagnosis lives on that: it sees a wrong backward as
a linear map.

On a kink, such as ReLU's at 0, there is no derivative, only one from the left and one from the
right; backward may give either, so a comparison there is unfair to everybody. First the elements
that sit on one step off it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...arrays import Array
from ...gradcheck.compare import Agreement
from ...gradcheck.numeric import Function, signs
from .fault import DIGITS, NEARLY
from .numeric import Gradient, Way, judged, unit_directions, ways
from .report import Row
from .subject import CallError, Subject

DOUTS = 4
FULL = 512  # elements of a tensor that are moved one by one
STEP = 0.1  # away from a kink
NOISY = 1e-6  # of a gradient's length: rounding above it is worth a remark


@dataclass
class Measurement:
    """Per input position: `jacobian` (N, M), its `errors`, `analytic` (K, N) and `numeric` (K, N).

    K random `douts` (K, *out.shape); N elements of the input, M of the output. `analytic` lacks the
    positions whose gradient has no usable shape; `returned` holds what backward gave for each dout.
    """

    subject: Subject
    out: Array
    douts: Array
    returned: list[tuple[Any, ...]]
    jacobian: dict[int, Array] = field(default_factory=dict)
    errors: dict[int, Array] = field(default_factory=dict)
    method: dict[int, Way] = field(default_factory=dict)
    analytic: dict[int, Array] = field(default_factory=dict)
    numeric: dict[int, Array] = field(default_factory=dict)
    verdict: dict[int, Agreement] = field(default_factory=dict)

    @property
    def wrong(self) -> list[int]:
        """The positions of the inputs whose gradient differs from the numerical one."""
        return [i for i, verdict in self.verdict.items() if verdict.verdict == "wrong"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """One wrong gradient: `given` (K, ...) for K random douts, and the `truth` (K, n).

    `measured` makes a gradient (K, *shape) what `truth` holds of the true one: all its elements, or
    of a large one its slopes along n directions; `digits` is how near a prediction must come. `m`
    has the Jacobian, if there is one.
    """

    subject: Subject
    position: int
    given: Array
    truth: Array
    measured: Callable[[Array], Array]
    digits: float = DIGITS
    m: Measurement | None = None

    @property
    def name(self) -> str:
        """forward's name for the input."""
        return self.subject.names[self.position]

    @property
    def shape(self) -> tuple[int, ...]:
        """The input's shape, which `given` need not have."""
        return self.subject.shape(self.position)

    @property
    def shaped(self) -> bool:
        """Does the gradient have the shape of its input?"""
        return self.given.shape[1:] == self.shape

    @cached_property
    def rows(self) -> Array:
        """What was given, as the truth is held."""
        return self.measured(self.given)

    @property
    def words(self) -> str:
        """How well a prediction is met that counts as met."""
        return "to eight digits" if self.digits == DIGITS else "as far as its digits go"

    @property
    def measurement(self) -> Measurement:
        """Where the Jacobian is."""
        assert self.m is not None
        return self.m

    @property
    def scalar(self) -> bool:
        """Is out one number, as a loss is, so that each dout shows the same gradient?"""
        return self.m is not None and self.m.out.size == 1

    @property
    def jacobian(self) -> Array:
        """(N, M): element n of the input, element m of out."""
        return self.measurement.jacobian[self.position]

    def cubes(self, rows: Array) -> Array:
        """(K, N) as (K, *shape)."""
        return rows.reshape(len(rows), *self.shape)

    def weighted(self, mask: Array) -> Array:
        """The true gradient if dout were multiplied by `mask` (of out's shape) first: (K, N)."""
        douts = self.measurement.douts * mask
        return np.asarray(douts.reshape(len(douts), -1) @ self.jacobian.T)


def evidence(m: Measurement, position: int, truth: Array | None = None) -> Evidence:
    """The gradient at one position of a measurement, perhaps with another truth."""
    if position in m.analytic:
        given = m.analytic[position].reshape(len(m.douts), *m.subject.shape(position))
    else:
        given = np.array([np.asarray(grads[position], np.float64) for grads in m.returned])
    return Evidence(
        m.subject, position, given, m.numeric[position] if truth is None else truth,
        lambda rows: rows.reshape(len(rows), -1), NEARLY if m.method[position].coarse else DIGITS,
        m)


def row(
    subject: Subject, position: int, verdict: Agreement, method: Way, sampled: bool = False
) -> Row:
    """The line of the table for one input."""
    noisy = (verdict.verdict == "right" and verdict.tolerance > NOISY and not verdict.zero
             and not method.coarse)
    return Row(
        subject.op, subject.names[position], subject.shape(position), verdict.error, method.name,
        method.why, verdict.tolerance, verdict.verdict != "wrong", verdict.zero,
        sampled, noisy, verdict.verdict == "undecided", method.coarse)


def _is_defined(function: Function, x: Array) -> bool:
    try:
        return bool(np.isfinite(function(x)).all())
    except CallError:  # forward rejects such an input
        return False


def step_around(subject: Subject, rng: np.random.Generator) -> tuple[Subject, list[str]]:
    """The subject with inputs moved off every kink found, and a note for each that was moved."""
    notes = []
    for i in subject.floats:
        x = subject.array(i)
        if not 0 < x.size <= FULL:
            continue
        moved = np.zeros(x.shape, dtype=bool)
        for _ in range(4):
            function = subject.out_as_function_of(i)
            x = subject.array(i)
            method = ways(function, x, rng)[0]
            if method.exact:
                break
            found = np.array([np.any(method.along(function, x, v).spread)
                              for v in unit_directions(x.shape)]).reshape(x.shape)
            if not found.any() and any(np.any(method.along(function, x, signs(x.shape, rng)).spread)
                                       for _ in range(2)):
                found[...] = True   # a tie, as in a median of equals: no single element shows it
            if not found.any():
                break
            step = found * STEP * signs(x.shape, rng) * np.maximum(1.0, np.abs(x))
            # log(1e-3) seems to have one, and a step to the left would leave where it is defined
            away = next((y for y in (x + step, x - step, x + np.abs(step))
                         if _is_defined(function, y)), None)
            if away is None:
                break
            moved |= found
            subject = subject.with_input(i, away)
        if moved.any():
            first = tuple(int(n) for n in np.argwhere(moved)[0])
            count = int(moved.sum())
            notes.append(
                f"{subject.names[i]} sits on a kink or right beside one, where the slopes to the "
                f"left and to the right differ, in {count} element{'s' * (count != 1)} (first "
                f"{list(first)}); the check stepped off by about {STEP}."
            )
    return subject, notes


def measure(subject: Subject, rng: np.random.Generator, positions: list[int]) -> Measurement:
    """Run backward for several douts and take the true gradients of the inputs at `positions`."""
    out = subject.run()[0].astype(np.float64)  # the length of a float16 array overflows
    douts = np.array([signs(out.shape, rng) for _ in range(DOUTS)])
    if out.size == 1:
        douts[0] = 1.0  # the numbers shown are then the user's own
    result = Measurement(subject, out, douts, [subject.gradients(dout) for dout in douts])
    for i in positions:
        x = subject.array(i)
        moves = unit_directions(x.shape)
        gradients = [Gradient(subject, i, out, douts, moves, way)
                     for way in ways(subject.out_as_function_of(i), x, rng)]
        analytic, gradient = usable(result.returned, i, x.shape), gradients[0]
        if analytic is not None:
            result.analytic[i] = analytic
            result.verdict[i], gradient = judged(gradients, analytic.reshape(DOUTS, *x.shape))
        result.jacobian[i], result.errors[i], _ = gradient.taken
        result.numeric[i], result.method[i] = gradient.numeric, gradient.way
    return result


def usable(
    returned: list[tuple[object, ...]], position: int, shape: tuple[int, ...]
) -> Array | None:
    """The gradients at one position as floats (K, N), or None if one has another shape or kind."""
    rows = []
    for grads in returned:
        value = grads[position] if position < len(grads) else None
        if not isinstance(value, (np.ndarray, np.generic, float)):
            return None
        array = np.asarray(value)
        if array.shape != shape or array.dtype.kind not in "fiu":
            return None
        rows.append(array.astype(np.float64).reshape(-1))
    return np.array(rows)
