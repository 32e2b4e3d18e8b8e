"""The examination, from first look to report.

check(forward, backward, *inputs, **settings)   a pair under the layer contract
check_function(f, grad, x)                      any callable on arrays, and its gradient
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .behaviour import damage, habits, linear
from .diagnosis import diagnose
from .kinks import step_around
from .large import examine_large
from .measure import measure
from .numeric import Array
from .report import Report
from .sizes import sizes
from .structure import first_look
from .subject import Subject

FULL = 512  # elements of a tensor that are moved one by one


BLUNT = 1e-6  # a tolerance above this is said


def check(
    forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, **settings: Any
) -> Report:
    """Examine a pair under the layer contract, and name what is wrong with its gradients.

    forward(*inputs, **settings) -> (out, cache)
    backward(dout, cache) -> a gradient for each input

    Integer and boolean inputs and None have no gradient. Nothing is raised for a wrong gradient:
    read `report.ok`, print the report, or call `report.raise_if_wrong()`.

    >>> def square_forward(x): return x * x, x
    >>> def square_backward(dout, x): return (2 * dout * x,)
    >>> check(square_forward, square_backward, np.array([1.0, -2.0])).ok
    True
    """
    return examine(Subject(forward, backward, inputs, settings))


def examine(subject: Subject, seed: int = 0, thorough: bool = True) -> Report:
    """Examine a Subject; the same `seed` gives the same report.

    `thorough=False` compares the numbers only, without the checks of behaviour and of odd sizes.
    """
    started = time.perf_counter()
    report = Report(subject.op)
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        _examine(subject, rng, thorough, report)
    report.seconds = time.perf_counter() - started
    return report


def _examine(subject: Subject, rng: np.random.Generator, thorough: bool, report: Report) -> None:
    look = first_look(subject, rng)
    report.findings += look.findings
    if look.out is None:
        return
    if not look.positions or any(subject.array(i).size == 0 for i in look.positions):
        report.notes.append("An input is empty, or none has a gradient: no number was checked.")
        return
    if thorough:
        report.findings += damage(subject, rng)
        subject, notes = step_around(subject, rng)
        report.notes += notes
    small = [i for i in look.positions if subject.array(i).size <= FULL]
    large = [i for i in look.positions if i not in small]
    measurement = measure(subject, rng, small)
    report.rows += [measurement.row(i) for i in measurement.verdict]
    report.findings += diagnose(measurement, look.misshapen)
    rows, findings = examine_large(subject, large, look.out, rng)
    report.rows += rows
    report.findings += findings
    report.rows.sort(key=lambda row: subject.names.index(row.argument))
    report.notes += [
        f"{row.argument}: the numbers themselves are only known to {row.tolerance:.0e} here; "
        "a smaller error of backward cannot be seen. Try other inputs."
        for row in report.rows if row.ok and row.tolerance > BLUNT
    ]
    if thorough and report.ok:
        try:
            report.findings += habits(subject, rng)
            if report.ok and subject.readable:
                report.findings += sizes(subject, rng)
        except Exception as error:  # inputs of our making that forward declines
            report.notes.append(f"Not every habit could be tried: {type(error).__name__}: {error}")
    elif thorough and measurement.wrong and linear(subject, rng):
        report.notes.append(
            "backward is not linear in dout, as every true gradient is: dout enters each term "
            "exactly once."
        )


def check_function(f: Callable[..., Any], grad: Callable[..., Any], x: Any) -> Report:
    """Examine any callable on arrays through NumPy: hand-written, PyTorch, JAX.

    `f(x)` gives a number and `grad(x)` its gradient; or `f(x)` gives an array and `grad(x, dout)`
    the gradient of sum(dout * f(x)). `x` is an array, or a tuple of arrays for `f(*x)`, and then
    `grad` returns a tuple.

    >>> check_function(lambda x: np.sum(x**3), lambda x: 3 * x**2, np.array([1.0, 2.0])).ok
    True
    """
    inputs = x if isinstance(x, tuple) else (x,)

    def forward(*arrays: Any) -> tuple[Array, tuple[Any, ...]]:
        return np.asarray(f(*arrays)), arrays

    def backward(dout: Array, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        if dout.ndim:
            result = grad(*arrays, dout)
            return result if isinstance(result, tuple) else (np.asarray(result),)
        result = grad(*arrays)
        result = result if isinstance(result, tuple) else (result,)
        return tuple(None if g is None else dout * np.asarray(g) for g in result)

    subject = Subject(forward, backward, inputs, {})
    subject.readable = False
    subject.op = getattr(f, "__name__", type(f).__name__)
    subject.names = Subject(f, grad, inputs, {}).names
    return examine(subject)
