"""Which fault is it? The only place that decides.

1. one fault behind all wrong gradients: a path of forward, or a change of backward's source;
2. for each gradient the cheapest single fault of its values, then of forward and backward;
3. two faults: a rearrangement and a factor, two paths, a path and a factor or a change;
4. several, one after another: the one that explains most, then what is left;
5. nobody knows: which lines only wrong gradients need, and a picture.

What every gradient's values name at once needs no source and comes first. Two faults together are
believed only where they are fewer or where one gradient has no name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..arrays import Array
from .behaviour import check_linear
from .evidence.fault import Fault, close, fit
from .evidence.measure import Evidence, Measurement, evidence, usable
from .evidence.report import Finding
from .evidence.subject import CallError
from .faults.layout import rearranged, shuffled
from .faults.paths import Cause, Paths
from .faults.places import common_ratio, elementwise, mask, repeated_ids, scaled_parts, slices
from .faults.softmax_faults import of_softmax
from .faults.value_faults import (
    differing,
    dout_forgotten,
    dout_nowhere,
    extra_term,
    factor,
    float32,
    not_finite,
    of_others,
    scaled,
    swap,
    wrong_elements,
    zero,
)
from .findings import finding, suspects, together, unnamed
from .reading.traced_source import readable, written_out
from .repairs.changes import Change
from .repairs.repair import repairs
from .repairs.worlds import Budget

RUNS = 6000  # of the user's code with a change, for one report
PLAIN = 200  # parts of a backward, written out, that is plainer than its loops
ROUNDS = 3  # of naming the fault that explains most
LEAST = 0.25  # fraction of the elements that such a fault must bring right
RESTLESS = " backward answers differently at each call, so that its faults cannot be named."

Generator = Callable[[Evidence], Iterator[Fault]]
# In the order of their cost, the narrow before the wide: zeros are also a factor of 0, and a mask
# that is forgotten for every element is also a factor.
VALUES: tuple[Generator, ...] = (
    not_finite, zero, float32, of_others, rearranged, shuffled, elementwise, factor, extra_term,
    repeated_ids, mask, dout_forgotten, slices, of_softmax)
MISSHAPEN: tuple[Generator, ...] = (not_finite, of_others, rearranged)
LARGE: tuple[Generator, ...] = (not_finite, zero, factor, rearranged)


def holds(fault: Fault, v: Evidence) -> bool:
    """Does this fault alone explain what was given? One without a prediction was seen to hold."""
    if fault.undo is not None:
        return close(v.measured(fault.undo(v.given)), v.truth, v.digits)
    return fault.predict is None or close(v.rows, fault.predict(v.truth), v.digits)


def explain(v: Evidence) -> list[Fault]:
    """The cheapest fault of the values, or a rearrangement and a factor; or nothing."""
    generators = (VALUES if v.m else LARGE) if v.shaped else MISSHAPEN
    with np.errstate(all="ignore"):
        for generator in generators:
            for fault in generator(v):
                if holds(fault, v):
                    return [fault]
        return _with_factor(v)


def _with_factor(v: Evidence) -> list[Fault]:
    for fault in rearranged(v):
        assert fault.undo is not None
        back = v.measured(fault.undo(v.given))
        c = fit(back, v.truth)
        if abs(c) > 1e-12 and close(back, c * v.truth, v.digits):
            return [fault, scaled(v, c)]
    # a factor on everything, and float32 besides: then no element agrees on eight digits
    c = fit(v.rows, v.truth) if v.shaped else 1.0
    if abs(c - 1) <= 1e-5:
        return []
    whole = replace(v, truth=c * v.truth)
    return [fault for rounding in float32(whole) for fault in (scaled(v, c), rounding)]


def diagnose(m: Measurement, misshapen: list[int]) -> list[Finding]:
    """Findings for every wrong input, and for those whose gradient is `misshapen`."""
    misshapen = [i for i in misshapen if i in m.numeric]
    if not m.wrong and not misshapen:
        return []
    try:
        m = replace(m, subject=readable(m.subject))
        return _Diagnosis(m, misshapen).findings()
    except CallError:  # a pair that cannot be called elsewhere is wrong all the same
        return [unnamed(m, i) for i in m.wrong + misshapen]


class _Diagnosis:
    """The work on one measurement; `paths` go from step to step."""

    def __init__(self, m: Measurement, misshapen: list[int]) -> None:
        self.m, self.misshapen = m, misshapen
        self.paths = Paths(m)

    def findings(self) -> list[Finding]:
        m, wrong = self.m, self.m.wrong
        every = wrong + self.misshapen
        if not self._repeatable():
            return [unnamed(m, i, note=RESTLESS) for i in every]
        named = {i: explain(evidence(m, i)) if _is_number(m, i) else [] for i in every}
        for i in wrong:
            named[i] = named[i] or self._single_element(i)
        left = [i for i in every if not named[i]]
        nonlinear = check_linear(m.subject, np.random.default_rng(0)) \
            if any(i in m.verdict for i in left) else None
        changes, where = repairs(m, every, Budget(RUNS))
        if not _cover(changes, every):  # perhaps what backward does is plainer than how it is put
            plainer = written_out(m.subject, PLAIN)
            if plainer is not m.subject:
                changes, _ = repairs(replace(m, subject=plainer), every, Budget(RUNS))
        if _cover(changes, every):
            causes = [(fault, change.inputs) for change in changes
                      for fault in self._of_both(change, named)]
        else:
            causes = self._common_causes(named, left) if left else []
            # a path is one of forward: the line that is short of it is one of these
            causes = [(replace(fault, sentence=fault.sentence + suspects(m, inputs[0])), inputs)
                      for fault, inputs in causes]
        if not causes:
            causes = [(fault, [i]) for i in every for fault in named[i]]
        elif nonlinear:
            first, inputs = causes[0]
            text = f"{nonlinear.message} {first.sentence}"
            causes[0] = replace(first, sentence=text, nonlinear=True), inputs
        found = [finding(m, inputs, cause) for cause, inputs in merged(m, causes)]
        reached = {i for _, inputs in causes for i in inputs}
        rest = {i: self._last_resort(i) for i in every if i not in reached}
        bare = [i for i, its in rest.items() if not its and _is_number(m, i)]
        found += [f for its in rest.values() for f in its] + together(m, bare, where)
        if nonlinear and not any(f.nonlinear for f in found):
            if "unexplained" not in [f.kind for f in found]:
                return found
            # one fault, reported once
            found = [replace(f, message=f"{nonlinear.message} {f.message}", kind="not-linear",
                             nonlinear=True) if f.kind == "unexplained" else f for f in found]
        return found

    def _of_both(self, change: Change, named: dict[int, list[Fault]]) -> list[Fault]:
        """A change that repairs, by the name that the values or a path of forward give to what it
        repairs, if they have one; by two names if a whole expression is exchanged for two faults.
        """
        inputs = change.inputs
        if len(inputs) == 1 and len(named[inputs[0]]) > 1 and change.fault.kind == "wrong-variable":
            first, *rest = named[inputs[0]]
            return [replace(first, sentence=f"{first.sentence} {_capital(change.text)}"), *rest]
        names = [named[i][0] for i in inputs if len(named[i]) == 1]
        if not any(named[i] for i in inputs):
            path = self._path(inputs, True)
            if path and change.forward:  # forward is seldom what was meant otherwise
                return [path]
            if path and path.kind in ("missing-term", "term-sign"):
                names = [path] * len(inputs)
        if len(names) < len(inputs) or len({f.kind for f in names}) > 1:
            return [change.fault]
        if names[0].doubtful and change.fault.kind in ("missing-factor", "missing-term"):
            return [change.fault]
        return [replace(names[0], sentence=f"{names[0].sentence} {_capital(change.text)}",
                        evidence=f"{names[0].evidence}; {change.fault.evidence}")]

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

    def _single_element(self, i: int) -> list[Fault]:
        """One wrong element among many, unless a path of forward leads to just that one."""
        found = wrong_elements(evidence(self.m, i))
        if found is None:
            return []
        return [self.paths.one([i], True) or self.paths.one([i], False) or found]

    def _common_causes(self, named: dict[int, list[Fault]], left: list[int]) -> list[Cause]:
        """The fewest faults that explain all wrong gradients together, each with the inputs it
        reaches; or nothing, and then what explains one input alone is added to `named`."""
        every, shaped = list(named), not self.misshapen
        one = self._path(self.m.wrong, True) or self._path(self.m.wrong, False)
        if one:
            return [(one, every)]
        if len(every) == 1:
            return self.paths.several(every) if shaped else []
        for i in left:
            own = self._path([i], True) or self._path([i], False)
            named[i] = [own] if own else []
        parts = sum(map(len, named.values()))
        joint = self.paths.several(every) if shaped else []
        if joint and (len(joint) < parts or not all(named.values())):
            return joint
        for i in left:
            if not named[i] and i not in self.misshapen:
                named[i] = [fault for fault, _ in self.paths.several([i])]
        return []

    def _path(self, inputs: list[int], assigned: bool) -> Fault | None:
        """The one path behind these gradients, if all of them have their shape."""
        if set(inputs) & set(self.misshapen) or (inputs == self.m.wrong and self.misshapen):
            return None
        return self.paths.one(inputs, assigned)

    def _last_resort(self, i: int) -> list[Finding]:
        """Several faults, as far as they have names, and the rest as a picture; or nothing."""
        if not _is_number(self.m, i):
            return []  # what it is instead was said at the first call
        m, v = self.m, evidence(self.m, i)
        fault = next(dout_nowhere(v), None)
        if fault and (v.shaped or _broadcasts(v.given.shape[1:], v.shape)):
            return [finding(m, [i], fault)]
        faults, truths = greedy(v, self.paths) if i in m.verdict else ([], [])
        found = [finding(m, [i], fault, truth) for fault, truth in zip(faults, truths)]
        if not faults:
            return []
        left = replace(v, truth=truths[-1])
        return found + ([unnamed(m, i, left.truth)] if differing(left, left.truth).any() else [])


def _is_number(m: Measurement, i: int) -> bool:
    return all(i < len(grads) and isinstance(grads[i], (np.ndarray, np.generic, float, int))
               and np.asarray(grads[i]).dtype.kind in "fiub" for grads in m.returned)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _cover(changes: list[Change], inputs: list[int]) -> bool:
    return {i for change in changes for i in change.inputs} >= set(inputs)


def _broadcasts(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(given, shape) == shape
    except ValueError:
        return False


def merged(m: Measurement, causes: list[Cause]) -> list[Cause]:
    """One fault that several gradients have is one cause."""
    result: dict[tuple[str, object], Cause] = {}     # by kind and cause
    for fault, inputs in causes:
        # without a cause in common each is a mistake of its own
        key = fault.kind, id(fault) if fault.cause is None else fault.cause
        first, before = result.get(key, (fault, []))
        result[key] = first, before + [i for i in inputs if i not in before]
    return [(_of_all(m, fault, inputs, causes), sorted(inputs))
            for fault, inputs in result.values()]


def _of_all(m: Measurement, fault: Fault, inputs: list[int], causes: list[Cause]) -> Fault:
    """The sentence, with the other gradients of which it was said too."""
    own = next(of for one, of in causes if one is fault)
    others = [m.subject.names[i] for i in inputs if i not in own]
    if not others or fault.cause == swap(m.subject.names[i] for i in inputs):
        return fault
    return replace(fault, sentence=f"{fault.sentence} So it is for {', '.join(others)}.")


def greedy(v: Evidence, paths: Paths) -> tuple[list[Fault], list[Array]]:
    """The faults of one gradient that together explain most of it, in the order of how much each
    explains; and what is predicted before each of them and after the last."""
    faults: list[Fault] = []
    truths = [v.truth]
    if not np.all(np.isfinite(v.given)):
        return faults, truths
    for number in range(ROUNDS):
        now = replace(v, truth=truths[-1])
        last = wrong_elements(now) or (next(float32(now), None) if faults else None)
        if last:
            return [*faults, last], [*truths, v.rows]
        best = _best(now, paths if number == 0 else None)
        if not best:
            break
        for fault in best:
            assert fault.predict is not None
            truths.append(fault.predict(truths[-1]))
        wrong = differing(now, truths[-1])
        left, size = int(wrong.sum()), wrong.size
        evidence = f"so {size - left} of {size} elements are as returned, {v.words}"
        best = [replace(fault, evidence=evidence) for fault in best]
        if left:
            rest = f" After that, {left} of {size} elements ({left / size:.0%}) are still wrong."
            best[-1] = replace(best[-1], sentence=best[-1].sentence + rest)
        faults += best
        if not left:
            break
    return faults, truths


def _best(v: Evidence, paths: Paths | None) -> list[Fault]:
    """The fault, or the fault and a factor, after which most elements are right."""

    def right(predicted: Array) -> float:
        return 1 - float(np.mean(differing(v, predicted)))

    before = right(v.truth)
    best: list[Fault] = []
    most = before + max(LEAST * (1 - before), 1.5 / v.truth.shape[1])
    for fault in _candidates(v, paths):
        alone = v.truth if fault is None or fault.predict is None else fault.predict(v.truth)
        other = common_ratio(v.rows, alone)
        for c in dict.fromkeys((1.0, other or 1.0)):
            count = right(c * alone)
            if count > most + 1e-9:
                most = count
                best = [] if fault is None else [fault]
                best += [scaled(v, c)] if c != 1.0 else []
    return best


def _candidates(v: Evidence, paths: Paths | None) -> Iterator[Fault | None]:
    yield None  # nothing but perhaps a factor
    yield from rearranged(v)
    yield from of_others(v)
    yield from scaled_parts(v)
    if paths is not None:
        yield from paths.predictions(v.position)
