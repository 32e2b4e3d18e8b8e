"""The examination of a pair, or of what was made one, from the first call to the report."""

from __future__ import annotations

import copy
import warnings

import numpy as np

from ..gradcheck.numeric import EPSILON
from ..gradcheck.pair import ContractError, describe
from .behaviour import check_contract, check_linear, check_mutation
from .choose import diagnose
from .evidence.measure import FULL, measure, row, step_around
from .evidence.numeric import COARSE, precision_name
from .evidence.report import Finding, Report, Row
from .evidence.subject import CallError, Subject, generator
from .large import examine_large
from .reading.raised import described
from .structure import check_structure, nothing_to_check, sizes

NOTED = 1e-6  # a tolerance above this gets a note
NOT_REPEATABLE = ("accumulated-twice", "mask-redrawn", "not-repeatable")


def examine(subject: Subject, seed: int = 0, thorough: bool = True) -> Report:
    """Examine a Subject; the same `seed` gives the same report.

    `thorough=False` compares the gradients only, without the checks of behaviour and of odd sizes.
    What the pair raises at inputs of the check's making is a finding.
    """
    if not isinstance(subject, Subject):
        raise ContractError(f"examine takes a Subject, got {describe(subject)}")
    report = Report(subject.op)
    rng = generator(seed)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        # PyTorch's warning about read-only arrays, which are tried on purpose
        warnings.filterwarnings("ignore", ".*not writable.*", UserWarning)
        try:
            _examine(subject, rng, thorough, report)
        except CallError as failed:
            report.findings.append(Finding(
                "undecided", "",
                "Not everything could be checked: beside the given inputs, at ones of the check's "
                f"making, the code raised {described(failed.error)}"))
    return report


def _examine(subject: Subject, rng: np.random.Generator, thorough: bool, report: Report) -> None:
    structure = check_structure(subject, rng)
    report.findings += structure.findings
    if structure.out is None:
        return
    positions = [i for i in structure.positions if subject.array(i).size]
    if not structure.numbers:
        thorough = False
        subject = copy.copy(subject)
        subject.floats = tuple(positions)
    if not positions or not structure.out.size:
        if report.ok:
            report.findings.append(nothing_to_check(subject, structure.out))
        return
    if thorough:
        report.findings += check_mutation(subject, rng)
        if any(kind in NOT_REPEATABLE for kind in report.kinds):
            report.notes.append(
                "No gradient was compared: first the same call must give the same answer."
            )
            return
        subject, notes = step_around(subject, rng)
        report.notes += notes
    small = [i for i in positions if subject.array(i).size <= FULL]
    large = [i for i in positions if i not in small]
    measurement = measure(subject, rng, small)
    report.rows += [row(subject, i, verdict, measurement.method[i])
                    for i, verdict in measurement.verdict.items()]
    findings = diagnose(measurement, structure.misshapen)
    rows, more, methods = examine_large(subject, large, structure.out, rng)
    report.rows += rows
    report.rows.sort(key=lambda line: subject.names.index(line.argument))
    named = {(f.kind, f.argument) for f in findings + more}  # with values, and so only once
    report.findings = [f for f in report.findings if (f.kind, f.argument) not in named]
    report.findings += findings + more
    used = [*measurement.method.values(), *methods.values()]
    subject.epsilon = max((method.epsilon for method in used), default=EPSILON)
    if subject.epsilon > COARSE:
        # forward itself computes so, and its gradient is as good as it can be
        report.findings = [f for f in report.findings if f.kind != "float32"]
        report.notes.append(_coarse(subject.epsilon))
    report.findings += [_undecided(line) for line in report.rows if line.undecided]
    report.notes += [note for line in report.rows if (note := _note(line))]
    if thorough and report.ok:
        try:
            found = check_contract(subject, rng) or sizes(subject, rng, report.notes)
            report.findings += [found] if found else []
        except CallError as failed:  # inputs of our making that forward rejects
            report.notes.append(
                f"Not all behaviour could be checked: {type(failed.error).__name__}: {failed}")
    elif thorough and measurement.wrong and not any(f.nonlinear for f in report.findings):
        if found := check_linear(subject, rng):
            report.notes.append(found.message)


def _coarse(epsilon: float) -> str:
    return (
        f"forward computes in {precision_name(epsilon)}: errors of a gradient below about "
        f"{max(1e-4, 1000 * epsilon):.0e} cannot be seen. For a sharp check let it compute in "
        "float64: x.double() in PyTorch, jax_enable_x64 in JAX, no astype(np.float32) in NumPy."
    )


def _undecided(row: Row) -> Finding:
    if row.error > row.tolerance:
        return Finding(
            "undecided", row.argument,
            f"The gradient of {row.argument} differs from the numerical one, but by so little that "
            "it proves nothing: forward is saturated here, so that this gradient is nearly 0 "
            "beside what it is at other inputs of this size, and the rest is rounding. Try other "
            "inputs, of about unit size.",
            evidence=f"the error is {row.error:.0e} of a gradient that is as small as rounding")
    return Finding(
        "undecided", row.argument,
        f"The gradient of {row.argument} may be right, but nothing is proven: the numerical one is "
        "so uncertain here that an error of 1 % could pass (forward is very steep, has a kink, or "
        "computes with few digits). Try other inputs, of about unit size and away from kinks, in "
        "float64.",
        evidence=f"the error is {row.error:.0e}, what would be allowed is {row.tolerance:.0e} of "
        "the whole gradient")


def _note(row: Row) -> str:
    """What else there is to report of a gradient that is right."""
    if row.noisy:
        return (
            f"{row.argument}: right up to rounding noise, which is {row.tolerance:.0e} of this "
            "gradient: large numbers cancel here, or it is nearly 0 beside what it could be."
        )
    if row.ok and not row.undecided and row.tolerance > NOTED and not row.coarse:
        return (
            f"{row.argument}: the numerical gradient is only known to {row.tolerance:.0e} here; a "
            "smaller error of backward cannot be seen. Try other inputs."
        )
    return ""
