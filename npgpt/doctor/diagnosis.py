"""From wrong gradients to named faults: who is asked, and in which order.

1. the two gradients alone (explain): one input's against everything a known fault would give;
2. the steps of forward (paths): which named path has a wrong weight, for all wrong inputs at once;
3. the source of backward (repair): which single change makes everything right;
4. the single uses of a name in forward, then two paths, or a path and a factor (paths again);
5. a change of the source and a path together (combined);
6. several faults one after another (several): the one that explains most, then what is left;
7. nobody: the first wrong element, the largest wrong block and a picture.

One fault behind all wrong gradients is believed first. Else each gradient is explained for itself,
and two faults together are believed only where they are fewer or where one gradient has no name.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from ..arrays import Array
from .behaviour import check_linear
from .explain import explain, explain_large, explain_shape
from .fault import Fault, WrongGradient, wrong_gradient
from .measure import Measurement, usable
from .paths import Cause, Paths
from .picture import largest_block, neighbourhood, picture
from .places import differing, dout_nowhere, wrong_elements
from .repair import Budget, Trial, repair
from .report import Finding
from .several_faults import change_and_path, several
from .subject import CallError

CHANGES = 6000  # of backward's source that are tried for one report
FOR_ALL, FOR_SOME = 4000, 1500  # of these, for one search; what npgpt's mutants need, and more
RESTLESS = " backward answers differently at each call, so that its faults cannot be named."


def diagnose(m: Measurement, misshapen: list[int]) -> list[Finding]:
    """Findings for every wrong input, and for those whose gradient is `misshapen`."""
    if not m.wrong and not misshapen:
        return []
    try:
        return _Diagnosis(m, misshapen).findings()
    except CallError:  # a pair that cannot be called elsewhere is wrong all the same
        return [_unnamed(m, i) for i in m.wrong + misshapen]


class _Diagnosis:
    """The work on one measurement; `paths`, `trials` and what is left of `changes` go from step to
    step."""

    def __init__(self, m: Measurement, misshapen: list[int]) -> None:
        self.m, self.misshapen = m, misshapen
        self.paths = Paths(m)
        self.trials: list[Trial] = []
        self.changes = Budget(CHANGES)

    def findings(self) -> list[Finding]:
        m, wrong, misshapen = self.m, self.m.wrong, self.misshapen
        every = wrong + misshapen
        if not self._repeatable():
            return [_unnamed(m, i, note=RESTLESS) for i in every]
        named = {i: self._second_opinion(explain(m, i)) for i in wrong}
        for i in misshapen:
            shape = explain_shape(m, i) if i in m.numeric else explain_large(
                m.subject, i, np.random.default_rng(0))
            named[i] = [shape] if shape else []
        for i in wrong:
            named[i] = named[i] or self._single_element(i)
        left = [i for i in every if not named[i]]
        nonlinear = check_linear(m.subject, np.random.default_rng(0)) \
            if any(i in m.verdict for i in left) else None
        causes = self._common_causes(named, left) if left else []
        if causes:
            if nonlinear:
                first, inputs = causes[0]
                message = f"{nonlinear.message} {first.message}"
                causes[0] = replace(first, sentence=message, nonlinear=True), inputs
            return [_finding(m, inputs[0], cause, inputs) for cause, inputs in causes]
        findings = []
        for i in every:
            findings += [_finding(m, i, one, [i]) for one in named[i]] or self._last_resort(i)
        if nonlinear and "unexplained" in [finding.kind for finding in findings]:
            names = ", ".join(m.subject.names[i] for i in left)
            findings.insert(0, replace(nonlinear, argument=names))
        return findings

    def _repeatable(self) -> bool:
        """Does backward answer as it did before? (Its faults have no name if not.)"""
        m = self.m
        again = m.subject.gradients(m.douts[0])
        for i in m.analytic:
            before = usable(m.returned[:1], i, m.subject.shape(i))
            now = usable([again], i, m.subject.shape(i))
            if before is None or now is None or not np.array_equal(now, before, equal_nan=True):
                return False
        return True

    @cached_property
    def repaired(self) -> Fault | None:
        """The one change of the source after which every gradient is right; fills `trials`."""
        return repair(self.m, self.changes, None, self.trials, FOR_ALL)

    def _second_opinion(self, found: list[Fault]) -> list[Fault]:
        """`dweight = dout.sum()` is the bias's gradient, or lacks a factor: the source decides."""
        if len(found) == 1 and found[0].doubtful:
            if self.repaired and self.repaired.kind in ("missing-factor", "missing-term"):
                return [self.repaired]
        return found

    def _single_element(self, i: int) -> list[Fault]:
        """One wrong element among many, unless a path of forward leads to just that one."""
        found = wrong_elements(wrong_gradient(self.m, i))
        if found is None:
            return []
        return [self.paths.one([i], True) or self.paths.one([i], False) or found]

    def _common_causes(
        self, named: dict[int, list[Fault]], left: list[int]
    ) -> list[Cause]:
        """The fewest faults that explain all wrong gradients together, each with the inputs it
        reaches; or nothing, and then what explains one input alone is added to `named`."""
        every, shaped = list(named), not self.misshapen
        if any(i not in self.m.numeric for i in self.misshapen):
            return []  # too large for a Jacobian: its shape is all that is known
        one = self._one_cause()
        if one:
            return [(one, every)]
        if len(every) == 1:
            i = every[0]
            return self._two_causes(i, list(self.m.numeric), self.trials) if shaped else []
        trials = {i: list[Trial]() for i in left}
        if 1 < len(left) < len(every):  # the others have a name of their own
            both = self._own_cause(left, [])
            if both:
                return [(both, left)] + [(fault, [i]) for i in every for fault in named[i]]
        for i in left:
            own = self._own_cause([i], trials[i])
            named[i] = [own] if own else []
        parts = sum(map(len, named.values()))
        joint = self.paths.several(every) if shaped else []
        if joint and (len(joint) < parts or not all(named.values())):
            return joint
        for i in left:
            if not named[i] and i not in self.misshapen:
                named[i] = [fault for fault, _ in self._two_causes(i, [i], trials[i])]
        return []

    def _one_cause(self) -> Fault | None:
        """The one fault behind all wrong gradients."""
        path = self._path(self.m.wrong, True)
        if path and path.kind in ("missing-term", "term-sign"):
            return path
        change = self._counted_once(self.repaired)
        return change or path or self._path(self.m.wrong, False)

    def _own_cause(self, inputs: list[int], trials: list[Trial]) -> Fault | None:
        """The one fault behind the gradients of these inputs, whatever the others have."""
        if any(i not in self.m.numeric for i in inputs):
            return None
        return (
            self._path(inputs, True)
            or repair(self.m, self.changes, inputs, trials, FOR_SOME)
            or self._path(inputs, False))

    def _path(self, inputs: list[int], assigned: bool) -> Fault | None:
        """The one path behind these gradients, if all of them have their shape."""
        if set(inputs) & set(self.misshapen) or (inputs == self.m.wrong and self.misshapen):
            return None
        return self.paths.one(inputs, assigned)

    def _two_causes(self, i: int, wanted: list[int], trials: list[Trial]) -> list[Cause]:
        """Two paths, or a path and a factor or a change of the source, behind one gradient."""
        return self.paths.several([i]) or [
            (fault, [i]) for fault in change_and_path(self.m, i, wanted, self.paths, trials)]

    def _counted_once(self, change: Fault | None) -> Fault | None:
        """Where a factor of 2 repairs, forward may use a value twice and backward count it once."""
        if change and change.kind == "term-factor" and change.coefficient == 2:
            path = self._path(self.m.wrong, False)
            if path and path.kind == "missing-term":
                return replace(change, sentence=f"{change.message} {path.message}")
        return change

    def _last_resort(self, i: int) -> list[Finding]:
        """Several faults, as far as they have names, and the rest as a picture."""
        m = self.m
        if i in m.verdict and dout_nowhere(m.analytic[i]) and len(m.douts) > 1:
            name = m.subject.names[i]
            return [_finding(m, i, Fault(
                "missing-factor",
                f"What backward gives for {name} does not depend on dout, which is a factor of "
                "every term of a true gradient.",
                "the same answer for different random dout",
                nonlinear=True,
            ), [i])]
        faults, left = several(m, i, self.paths) if i in m.verdict else ([], 0)
        if not faults:
            return [_unnamed(m, i)]
        before = [m.numeric[i], *(fault.predicted for fault in faults)]
        findings = [_finding(m, i, fault, [i], against)
                    for fault, against in zip(faults, before, strict=False)]
        return findings if not left else [*findings, _unnamed(m, i, faults[-1].predicted)]


def _finding(
    m: Measurement, i: int, cause: Fault, inputs: list[int], against: Array | None = None
) -> Finding:
    names = ", ".join(m.subject.names[j] for j in inputs)
    return Finding(cause.kind, names, cause.message, *_worst(m, i, against),
                   evidence=cause.evidence, nonlinear=cause.nonlinear)


def _worst(
    m: Measurement, i: int, against: Array | None = None
) -> tuple[tuple[int, ...] | None, float | None, float | None, float | None]:
    """(index, analytic, numeric, error bar) of the worst wrong element, or four times None.

    `against` (K, N) takes the place of the truth where part of the error has a name already.
    """
    if i not in m.verdict or not m.analytic[i].size:
        return None, None, None, None
    gap = np.abs(m.analytic[i] - (m.numeric[i] if against is None else against))
    gap = np.where(np.isfinite(gap), gap, np.inf)
    wrong = m.verdict[i].wrong
    if against is None and wrong.any():
        gap = np.where(wrong, gap, -1.0)
    if m.out.ndim == 0 and gap[0].max() > 0:
        gap[1:] = -1.0  # dout is one there, and the numbers are the user's own
    k, n = np.unravel_index(int(np.argmax(gap)), gap.shape)
    index = tuple(int(j) for j in np.unravel_index(int(n), m.subject.shape(i)))
    error = float(np.abs(m.douts[k]).reshape(-1) @ m.errors[i][n])
    return index, float(m.analytic[i][k, n]), float(m.numeric[i][k, n]), error


def _unnamed(
    m: Measurement, i: int, predicted: Array | None = None, note: str = ""
) -> Finding:
    """What is wrong where nothing explains it, or what is left when `predicted` is explained."""
    name, shape = m.subject.names[i], m.subject.shape(i)
    if i not in m.verdict:
        given = np.shape(m.returned[0][i])
        return Finding(
            "wrong-shape",
            name,
            f"{name} has shape {shape}, its gradient has shape {given}; they must be equal.",
        )
    analytic = m.analytic[i]
    if predicted is None:
        wrong = np.asarray(m.verdict[i].wrong.any(axis=0)).reshape(shape)
        message = f"The gradient of {name} is wrong and no known fault explains it: "
        predicted = m.numeric[i]
    else:
        v = WrongGradient(m, i, analytic, predicted)
        wrong = differing(v, analytic, predicted).reshape(shape)
        message = f"What is left of the error of {name} has no known name: "
    message += f"{int(wrong.sum())} of {wrong.size} elements are wrong"
    if wrong.ndim == 0 or not wrong.any():
        return Finding("unexplained", name, message + ".", *_worst(m, i))
    first = tuple(int(n) for n in np.argwhere(wrong)[0])
    near = neighbourhood(analytic[0].reshape(shape), predicted[0].reshape(shape), first)
    return Finding(
        "unexplained",
        name,
        f"{message}, the first is {list(first)}, the largest block of them is "
        f"{largest_block(wrong)}. In the picture the last axis runs to the right and # is wrong."
        + note,
        *_worst(m, i, predicted),
        picture=picture(wrong) + "\n\n" + near,
    )
