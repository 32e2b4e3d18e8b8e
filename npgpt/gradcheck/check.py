"""The examination, from first look to report: check(forward, backward, *inputs, **settings)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .behaviour import damage, habits, linear
from .diagnosis import diagnose
from .kinks import step_around
from .large import examine_large
from .measure import measure
from .numeric import COARSE, EPSILON, precision_name
from .report import Finding, Report, Row
from .sharpen import sharpened
from .sizes import sizes
from .structure import first_look, nothing_to_check
from .subject import Subject

FULL = 512  # elements of a tensor that are moved one by one
BLUNT = 1e-6  # a tolerance above this is said
NOT_REPEATABLE = ("accumulated-twice", "mask-redrawn", "not-repeatable")


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
        # PyTorch's word about read-only arrays, which are tried on purpose
        warnings.filterwarnings("ignore", ".*not writable.*", UserWarning)
        _examine(subject, rng, thorough, report)
    report.seconds = time.perf_counter() - started
    return report


def _examine(subject: Subject, rng: np.random.Generator, thorough: bool, report: Report) -> None:
    look = first_look(subject, rng)
    report.findings += look.findings
    if look.out is None:
        return
    positions = [i for i in look.positions if subject.array(i).size]
    if not positions or not look.out.size:
        if report.ok:
            report.findings.append(nothing_to_check(subject, look.out))
        return
    if thorough:
        found = damage(subject, rng)
        report.findings += found
        if any(finding.kind in NOT_REPEATABLE for finding in found):
            report.notes.append(
                "No number was compared: first the same call must give the same answer."
            )
            return
        subject, notes = step_around(subject, rng)
        report.notes += notes
    small = [i for i in positions if subject.array(i).size <= FULL]
    large = [i for i in positions if i not in small]
    measurement = measure(subject, rng, small)
    report.rows += [measurement.row(i) for i in measurement.verdict]
    findings = diagnose(sharpened(measurement), look.misshapen)
    rows, more, methods = examine_large(subject, large, look.out, rng)
    report.rows += rows
    report.rows.sort(key=lambda row: subject.names.index(row.argument))
    told = {(f.kind, f.argument) for f in findings + more}  # with numbers, and so only once
    report.findings = [f for f in report.findings if (f.kind, f.argument) not in told]
    report.findings += findings + more
    used = [*measurement.method.values(), *methods.values()]
    subject.epsilon = max((method.epsilon for method in used), default=EPSILON)
    if subject.epsilon > COARSE:
        # forward itself computes so, and its gradient is as good as it can be
        report.findings = [
            replace(f, evidence=f.evidence.replace("to eight digits", "as far as its digits go"))
            for f in report.findings if f.kind != "float32"
        ]
        report.notes.append(_coarse(subject.epsilon))
    report.findings += [_undecided(row) for row in report.rows if row.undecided]
    report.notes += [_told(row) for row in report.rows if _told(row)]
    if thorough and report.ok:
        try:
            report.findings += habits(subject, rng)
            if report.ok:
                report.findings += sizes(subject, rng)
        except Exception as error:  # inputs of our making that forward declines
            report.notes.append(f"Not every habit could be tried: {type(error).__name__}: {error}")
    elif thorough and measurement.wrong and not _bend_is_told(report) and linear(subject, rng):
        report.notes.append(
            "backward is not linear in dout, as every true gradient is: dout enters each term "
            "exactly once."
        )


def _bend_is_told(report: Report) -> bool:
    return any("linear in dout" in f.message or "whatever dout" in f.message
               or f.kind == "extra-term" for f in report.findings)


def _coarse(epsilon: float) -> str:
    return (
        f"forward computes in {precision_name(epsilon)}: errors of a gradient below about "
        f"{max(1e-4, 1000 * epsilon):.0e} cannot be seen. For a sharp check let it compute in "
        "float64: x.double() in PyTorch, jax_enable_x64 in JAX, no astype(np.float32) in NumPy."
    )


def _undecided(row: Row) -> Finding:
    return Finding(
        "undecided",
        row.argument,
        f"The gradient of {row.argument} may be right, but nothing is proven: the numbers are so "
        "uncertain here that an error of 1 % could pass (forward is very steep, bends, or computes "
        "with few digits). Try other inputs, of about unit size and away from bends, in float64.",
        evidence=f"the error is {row.error:.0e}, what would be allowed is {row.tolerance:.0e} of "
        "the whole gradient",
    )


def _told(row: Row) -> str:
    """What else there is to say of a gradient that is right."""
    if row.noisy:
        return (
            f"{row.argument}: right up to rounding noise, which is {row.tolerance:.0e} of this "
            "gradient: large numbers cancel here, or it is nearly 0 beside what it could be."
        )
    if row.ok and not row.undecided and row.tolerance > BLUNT and "float" not in row.why:
        return (
            f"{row.argument}: the numbers themselves are only known to {row.tolerance:.0e} here; "
            "a smaller error of backward cannot be seen. Try other inputs."
        )
    return ""
