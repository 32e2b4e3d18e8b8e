"""A failed gradient check as the page draws it: what was expected, what was given, the difference.
"""

from __future__ import annotations

import numpy as np

from ..doctor.evidence.measure import FULL, measure
from ..doctor.evidence.report import Report
from ..doctor.evidence.subject import Subject, generator
from ..doctor.styles.files import examine_file
from .encoding import Json, encoded


def failed_check(target: str, exact: bool = False) -> Json:
    """The first wrong gradient of 'FILE' or 'FILE:NAME', beside the numeric one, for a random dout.

    Where every gradient is right, or the finding cannot be drawn, the verdict alone.

    Raises ValueError as `npgpt.doctor.examine_file`.
    """
    found: list[tuple[Subject, Report]] = []
    reports = examine_file(target, on_report=lambda *each: found.append(each))
    functions = ", ".join(report.op for report in reports)
    if all(report.ok for report in reports):
        return _verdict("right", functions, "every gradient is right, there is nothing to draw")
    for subject, report in found:
        for finding in report.findings:
            if finding.argument in subject.names:
                position = subject.names.index(finding.argument)
                drawn = _drawn(subject, position, exact)
                if drawn is not None:
                    return drawn | {"kind": finding.kind, "sentence": finding.message}
    op, finding = next((report.op, finding) for report in reports for finding in report.findings)
    return _verdict(finding.kind, op, finding.message)


def _verdict(kind: str, function: str, sentence: str) -> Json:
    return {"function": function, "input": None, "shape": None, "expected": None, "got": None,
            "difference": None, "worst": None, "kind": kind, "sentence": sentence}


def _drawn(subject: Subject, position: int, exact: bool) -> Json | None:
    """None for a gradient of the wrong shape, and of more elements than are measured one by one."""
    shape = subject.shape(position)
    if position not in subject.floats or not 0 < subject.array(position).size <= FULL:
        return None
    measured = measure(subject, generator(0), [position])
    if position not in measured.analytic:
        return None
    got, expected = (table[position][-1].reshape(shape)
                     for table in (measured.analytic, measured.numeric))
    difference = got - expected
    worst = tuple(int(i) for i in np.unravel_index(
        np.nan_to_num(np.abs(difference), nan=np.inf).argmax(), shape))
    return {"function": subject.op, "input": subject.names[position], "shape": list(shape),
            "expected": encoded(expected, exact), "got": encoded(got, exact),
            "difference": encoded(difference, exact),
            "worst": {"index": list(worst), "expected": float(expected[worst]),
                      "got": float(got[worst]), "difference": float(difference[worst])}}
