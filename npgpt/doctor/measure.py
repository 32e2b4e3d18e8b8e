"""The measurement: what backward returns and what is true, for several random `dout`.

Moving one element of an input gives a whole column of the Jacobian, so the true gradient for
*every* `dout` costs no more than for one. The diagnosis lives on that: it sees a wrong backward as
a linear map.

On a kink, such as ReLU's at 0, there is no derivative, only one from the left and one from the
right; backward may give either, so a comparison there is unfair to everybody. First the elements
that sit on one step off it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import (
    CENTRAL,
    COMPLEX_STEP,
    EPSILON,
    RICHARDSON,
    Function,
    NotComplex,
    Way,
    norm,
    signs,
    unit_directions,
    ways,
)
from .compare import Comparison, compare
from .report import Row
from .subject import CallError, Subject

DOUTS = 4
FULL = 512  # elements of a tensor that are moved one by one
STEP = 0.1  # away from a kink


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
    verdict: dict[int, Comparison] = field(default_factory=dict)

    @property
    def wrong(self) -> list[int]:
        """The positions of the inputs whose gradient differs from the numerical one."""
        return [i for i, verdict in self.verdict.items() if not verdict.ok]

    @property
    def digits(self) -> str:
        """How well a prediction is met that counts as met, for the evidence of a finding."""
        coarse = any(method.coarse for method in self.method.values())
        return "as far as its digits go" if coarse else "to eight digits"


def row(
    subject: Subject, position: int, verdict: Comparison, method: Way, sampled: bool = False
) -> Row:
    """The line of the table for one input."""
    return Row(
        subject.op, subject.names[position], subject.shape(position), verdict.error, method.name,
        method.why, verdict.tolerance, verdict.ok, verdict.zero,
        sampled, verdict.noisy, verdict.undecided, method.coarse)


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
            found = method.kinks(function, x)
            if not found.any():
                break
            step = found * STEP * rng.choice([-1.0, 1.0], x.shape) * np.maximum(1.0, np.abs(x))
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
                f"{list(first)}); the check stepped off by {STEP}."
            )
    return subject, notes


def take_jacobian(
    subject: Subject, position: int, rng: np.random.Generator, method: Way | None = None
) -> tuple[Array, Array, Way]:
    """The Jacobian (N, M) of out by one input, its error bars, and the method used."""
    x = subject.array(position)
    function = subject.out_as_function_of(position)
    method = method or ways(function, x, rng)[0]
    columns = [method.along(function, x, v) for v in unit_directions(x.shape)]
    values, errors, taken = zip(*columns, strict=True)
    if set(taken) == {CENTRAL}:
        method = Way(CENTRAL, method.why + "; extrapolation does not converge")
    return np.array(values).reshape(x.size, -1), np.array(errors).reshape(x.size, -1), method


def measure(subject: Subject, rng: np.random.Generator, positions: list[int]) -> Measurement:
    """Run backward for several douts and take the true gradients of the inputs at `positions`."""
    out = subject.run()[0].astype(np.float64)  # the length of a float16 array overflows
    douts = np.array([signs(out.shape, rng) for _ in range(DOUTS)])
    result = Measurement(subject, out, douts, [subject.gradients(dout) for dout in douts])
    flat = douts.reshape(DOUTS, -1)
    for i in positions:
        x = subject.array(i)
        jacobian, errors, result.method[i] = take_jacobian(subject, i, rng)
        result.jacobian[i], result.errors[i] = jacobian, errors
        result.numeric[i] = flat @ jacobian.T
        analytic = usable(result.returned, i, x.shape)
        if analytic is None:
            continue
        result.analytic[i] = analytic
        result.verdict[i] = judge(result, i, rng)
    return result


def usable(returned: list[tuple[Any, ...]], position: int, shape: tuple[int, ...]) -> Array | None:
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


def judge(m: Measurement, position: int, rng: np.random.Generator) -> Comparison:
    """Compare one input's gradients with the numerical ones, over all douts together.

    No gradient is called wrong at once: in doubt the scale for "zero" is measured by moving the
    input far, and then Richardson must see the fault as well as the complex step.
    """
    scale = m.subject.scale(position, m.out, m.douts)
    taken = m.jacobian[position], m.errors[position]
    verdict = _compared(m, position, *taken, scale, rng)
    if verdict.ok:
        return verdict.undecided and _confirmed(m, position, scale, rng) or verdict
    scale = max(scale, _far_scale(m, position, rng))
    verdict = _compared(m, position, *taken, scale, rng)
    if verdict.ok or not m.method[position].exact:
        return verdict
    # where rounding makes forward flat (a sigmoid at -40 is 0), a complex step still sees a slope
    way = replace(m.method[position], name=RICHARDSON, why="second opinion")
    jacobian, errors, _ = take_jacobian(m.subject, position, rng, way)
    if norm(errors) > 1e-6 * norm(jacobian):
        return verdict  # too rough to have an opinion
    again = _compared(m, position, jacobian, errors, scale, rng)
    return again if again.ok else verdict


def _confirmed(
    m: Measurement, position: int, scale: float, rng: np.random.Generator
) -> Comparison | None:
    """The verdict by a complex step, where differences are too blunt, if it is that all is right.

    In a saturated softmax differences cannot confirm the complex step. That a wrong gradient equals
    it by chance is out of the question, and so it may prove a pair right here, never wrong.
    """
    if m.method[position].coarse:
        return None
    way = Way(COMPLEX_STEP, "differences are too blunt here, and backward agrees with it")
    try:
        jacobian, errors, _ = take_jacobian(m.subject, position, rng, way)
    except (CallError, NotComplex):
        return None
    verdict = _compared(m, position, jacobian, errors, scale, rng)
    if not verdict.ok or verdict.undecided:
        return None
    m.method[position] = way
    return verdict


def _compared(
    m: Measurement, position: int, jacobian: Array, errors: Array, scale: float,
    rng: np.random.Generator,
) -> Comparison:
    flat = m.douts.reshape(len(m.douts), -1)
    sizes = np.abs(flat)
    return compare(
        m.analytic[position], flat @ jacobian.T, sizes @ errors.T, sizes @ np.abs(jacobian).T,
        scale, lambda: _rounding_noise(m, position, rng), m.method[position].epsilon)


def _far_scale(m: Measurement, position: int, rng: np.random.Generator) -> float:
    """The largest slope of out between here and points as far away as the input is long."""
    x = m.subject.array(position)
    size = max(norm(x), 1e-3 * x.size**0.5)
    function = m.subject.out_as_function_of(position)
    slopes = [0.0]
    away = rng.standard_normal((4, *x.shape)) * size / x.size**0.5
    for move in (-x, -2 * x, *away):
        out = function(x + move)
        if np.all(np.isfinite(out)):
            slopes.append(norm(out.astype(np.float64) - m.out) / size)
    return max(slopes) * norm(m.douts)


def _rounding_noise(m: Measurement, position: int, rng: np.random.Generator) -> Array:
    """How far backward's answer moves when dout and its cache move by a unit in the last place."""
    worst = np.zeros_like(m.analytic[position])
    shape = m.subject.shape(position)
    for _ in range(4):
        answers = []
        for dout in m.douts:
            _, cache = m.subject.run()
            epsilon = m.method[position].epsilon
            answers.append(m.subject.call_backward(
                _nudged(dout, rng, epsilon), _nudged(cache, rng, epsilon)))
        again = usable(answers, position, shape)
        if again is not None:
            worst = np.maximum(worst, np.abs(again - m.analytic[position]))
    return np.asarray(np.where(np.isfinite(worst), worst, 0.0))


def _nudged(value: Any, rng: np.random.Generator, epsilon: float = EPSILON) -> Any:
    """The same nest of tuples, lists and dicts, its floats moved by about one rounding error."""
    if isinstance(value, np.ndarray) and value.dtype in (np.float64, np.float32):
        # the second term: a sigmoid computed as 1 + tanh has an absolute error, however small it is
        relative, absolute = 1.4 * epsilon * rng.standard_normal((2, *value.shape))
        return (value * (1 + relative) + absolute).astype(value.dtype)
    if isinstance(value, (tuple, list)):
        parts = [_nudged(part, rng, epsilon) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {key: _nudged(part, rng, epsilon) for key, part in value.items()}
    return value
