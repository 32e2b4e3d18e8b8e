"""The steps of a check, in their order, as an exercise's grade.py uses them.

    def grade(mine, g):
        x = g.normal(2, 3, 5)
        g.values("softmax", mine.softmax_forward, x)
        g.gradient(mine.softmax_forward, mine.softmax_backward, x)
        g.probe("row-sums", "every row sums to 1", lambda: ...)

`mine` is the learner's module. Each step that finds something ends the check, unless all findings
were asked for.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..arrays import Array
from ..doctor import ContractError, Program, Report, check, check_function, diagnose_value
from ..doctor.evidence.report import Finding as Named
from ..doctor.reading.raised import described
from ..doctor.values.catalogue import PROGRAMS

# true findings of the doctor, on arrays that no exercise makes: a right answer is not held up
ELSEWHERE = {"layout", "shared-input", "size-0"}


@dataclass(frozen=True)
class Finding:
    """One finding: its `kind`, the `step` of the check, a sentence, and what it rests on."""

    kind: str
    step: str
    message: str
    details: tuple[str, ...] = ()
    picture: str = ""

    @property
    def text(self) -> str:
        """Everything it says, a paragraph a line."""
        return "\n".join((self.message, *self.details))

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return asdict(self)


class Stop(Exception):
    """A finding was made, and one is enough."""


@dataclass
class Grading:
    """What a grade.py is given; `findings` grows, `right` has the steps that found nothing, and
    `wrong` those that found something, on any of their inputs."""

    every: bool = False
    findings: list[Finding] = field(default_factory=list)
    right: list[str] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(15))

    def normal(self, *shape: int) -> Array:
        """Random numbers of unit size."""
        return self.rng.standard_normal(shape)

    def ids(self, *shape: int, below: int) -> Array:
        """Random token ids from 0 to below - 1."""
        return self.rng.integers(0, below, shape)

    def values(
        self, what: str | Program | Callable[..., object], mine: Callable[..., object], /,
        *inputs: object, axes: str = "", **settings: object,
    ) -> None:
        """Shape, type and values of what `mine` gives; the doctor names a known mistake.

        `what` is one of the doctor's programs, such as "layernorm", a Program with variants of your
        own, or the right function. `axes` names the result's axes, such as "B T C", for the
        sentence on a wrong shape. A function may give (out, cache).
        """
        name = _name(mine)
        found = self._shape(what, mine, inputs, axes, settings)
        if found is None:
            report = diagnose_value(what, mine, *copy.deepcopy(inputs), **settings)
            if not report.ok:
                fault = report.findings[0]
                details = [_ended(f.sentence) for f in report.findings[1:]]
                details += [f"Or: {_ended(other.sentence)}" for other in report.others]
                details += [fault.evidence] if fault.evidence else []
                if report.expected or report.where:
                    at = f"At {_place(report.where)}: e" if report.where else "E"
                    details.append(f"{at}xpected {report.expected}, got {report.got}.")
                found = Finding(
                    fault.kind, "values", f"{name}: {_ended(fault.sentence)}", tuple(details))
                if fault.kind == "wrong-shape" and report.got.startswith("shape"):
                    where = f"{_place(report.where)} " if report.where else "it "
                    found = Finding(fault.kind, "values", f"{name}: {where}has {report.got}; "
                                    f"expected {report.expected}.")
        self._end(found, f"the values of {name}")

    def gradient(
        self, forward: Callable[..., object], backward: Callable[..., object], /, *inputs: object,
        **settings: object,
    ) -> None:
        """The gradients of the learner's pair, by the doctor, on the learner's own forward."""
        self._report(lambda: check(forward, backward, *inputs, **settings), _name(backward))

    def known(self, program: Program, mine: Callable[..., object], /, *inputs: object) -> None:
        """A mistake of the exercise's own in a gradient, named before the doctor looks.

        `mine(*inputs)` gives the gradients, as `program` does; where none of its variants gives the
        same nothing is said.
        """
        try:
            report = diagnose_value(program, mine, *copy.deepcopy(inputs))
        except ValueError:      # what cannot be compared is for the doctor
            return
        if report.kinds and report.kinds[0] in {v.kind for v in program.mistakes()}:
            self._end(Finding(report.kinds[0], "gradient", f"{_name(mine)}: "
                              f"{_ended(report.findings[0].sentence)}", (
                                  f"At {_place(report.where)}: expected {report.expected}, got "
                                  f"{report.got}.",)), "")

    def function(
        self, f: Callable[..., object], grad: Callable[..., object], /, *x: object
    ) -> None:
        """The gradient of f(*x) that grad gives, by the doctor; see `npgpt.doctor.check_function`.
        """
        self._report(lambda: check_function(f, grad, *x), _name(grad))

    def report(self, name: str, examine: Callable[[], Report]) -> None:
        """Any other check of the doctor: its report decides."""
        self._report(examine, name)

    def probe(self, kind: str, sentence: str, test: Callable[[], object]) -> None:
        """What single numbers do not show: `sentence` says what should hold.

        `test` gives True or None where it holds, False, or a text that says what happened instead.
        """
        found = None
        try:
            with np.errstate(all="ignore"):
                answer = test()
        except Exception as error:      # the learner's code
            found = Finding("raises", "probe", f"fails: {sentence}. It raised {described(error)}")
        else:
            if isinstance(answer, str) or not (answer is None or answer):
                found = Finding(kind, "probe", f"fails: {sentence}.",
                                (answer,) if isinstance(answer, str) else ())
        self._end(found, sentence)

    def fail(self, kind: str, message: str, *details: str, step: str = "probe") -> None:
        """A finding of the exercise's own."""
        self._end(Finding(kind, step, message, details), "")

    def _end(self, found: Finding | None, what: str) -> None:
        if found is None:
            self._passed(what)
            return
        name = _about(found)[2].partition(",")[0]
        self.wrong |= {what, f"the values of {name}", f"the gradients of {name}"}
        self.right = [step for step in self.right if step not in self.wrong]
        if all(_about(found) != _about(other) for other in self.findings):
            self.findings.append(found)     # the same is often found on several inputs
        if not self.every:
            raise Stop

    def _passed(self, what: str) -> None:
        if what not in self.right and what not in self.wrong:   # a step may be tried several times
            self.right.append(what)

    def _report(self, examine: Callable[[], Report], name: str) -> None:
        try:
            report = examine()
        except ContractError as error:
            self._end(Finding("contract", "gradient", f"{name}: {error}"), "")
            return
        findings = [named for named in report.findings if named.kind not in ELSEWHERE]
        for named in findings:
            self._end(_from_doctor(named, name), "")
        if findings:
            return
        self._passed(f"the gradients of {name}")

    def _shape(self, what: Any, mine: Callable[..., object], inputs: tuple[object, ...], axes: str,
               settings: dict[str, object]) -> Finding | None:
        """A wrong shape or type of a result that is one array; None where the doctor decides."""
        program = PROGRAMS.get(what) if isinstance(what, str) else what
        function = program.function if isinstance(program, Program) else program
        if not inputs or function is None or not axes:
            return None
        name = _name(mine)
        try:
            with np.errstate(all="ignore"):
                got = mine(*copy.deepcopy(inputs), **settings)
        except Exception as error:      # the learner's code
            return Finding("raises", "values", f"{name} raised {described(error)}")
        wanted = _first(function(*copy.deepcopy(inputs), **settings))
        got = _first(got)
        if got is None:
            return Finding("not-an-array", "shape",
                           f"{name} returned None: is the return forgotten?")
        if not isinstance(got, (np.ndarray, np.number, float, int)):
            return Finding("not-an-array", "type", f"{name} returned a {type(got).__name__}; "
                           "expected an array")
        got, wanted = np.asarray(got), np.asarray(wanted)
        if got.shape != wanted.shape:
            return Finding("wrong-shape", "shape", f"{name}: it has shape "
                           f"{_shape_words(got, '')}; expected {_shape_words(wanted, axes)}.")
        if got.dtype != wanted.dtype:
            return Finding("wrong-type", "type", f"{name} gives {got.dtype} for inputs in "
                           f"{wanted.dtype}; expected {wanted.dtype}")
        return None


def _about(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.step, finding.message.partition(":")[0]


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


def _place(where: str) -> str:
    """A place in a value: what a dict holds stands under its own name, ['dx'][0] as dx[0], and
    step 1['wte'][0] as step 1, wte[0]."""
    return re.sub(r"(?<=\w)\['([^']*)'\]", r", \1", re.sub(r"^\['([^']*)'\]", r"\1", where))


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", "your function")


def _first(result: object) -> object:
    return result[0] if isinstance(result, tuple) and result else result


def _shape_words(array: Array, axes: str) -> str:
    names = axes.split()
    if len(names) != array.ndim:
        return str(array.shape)
    return "(" + ", ".join(f"{n}={size}" for n, size in zip(names, array.shape)) + ")"


def _from_doctor(named: Named, name: str) -> Finding:
    details: list[str] = []
    if named.analytic is not None and named.numeric is not None and named.index is not None:
        at = f"[{', '.join(map(str, named.index))}]" if named.index else ""
        argument = named.argument.split(", ")[0]
        details.append(f"At d{argument}{at}: expected {named.numeric:.9g}, got "
                       f"{named.analytic:.9g}.")
    details += [f"Evidence: {named.evidence}"] if named.evidence else []
    where = f", gradient of {named.argument}" if named.argument else ""
    return Finding(named.kind, "gradient", f"{name}{where}: {named.message}", tuple(details),
                   named.picture)
