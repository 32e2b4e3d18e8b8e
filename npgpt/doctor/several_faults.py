"""Several faults in one gradient, where no single one explains it.

Two of different kinds: every change that was tried to repair backward's source left some error. If
for one of them that error is the own part of a path of forward, times a plain number, then the
change and the path together are the faults.

Else name the fault that explains most, then explain what is left. Such a fault is believed although
some elements disagree with it, if it brings clearly more of them right than were right without it.
What it predicts then takes the place of the truth, and the next fault is searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm
from .fault import Fault, WrongGradient, close, fit
from .measure import Measurement
from .multiple import plain
from .paths import Paths
from .places import common_ratio, differing, scaled_parts, wrong_elements
from .repair import Trial, describe_change
from .rules import float32, of_others, rearranged, scaled
from .traced_source import program

ROUNDS = 3
LEAST = 0.25  # fraction of the elements that a fault must bring right


def change_and_path(
    m: Measurement, position: int, wanted: list[int], paths: Paths, trials: list[Trial]
) -> list[Fault]:
    """A change and a path that together explain the error of one input, or nothing.

    `trials` are what `repair` tried for the gradients at the positions `wanted`.
    """
    source = program(m.subject, "backward")
    # an added term beside a forgotten path would take back what a wrong term does
    trials = [trial for trial in trials if trial.edit.kind != "missing-term"]
    if source is None or not trials or m.subject.array(position).size < 4:
        return []
    bases = np.array([trial.base for trial in trials])
    slopes = np.array([
        np.zeros_like(bases[0]) if trial.slope is None else trial.slope for trial in trials])
    numeric = m.numeric[position]
    size = norm(m.analytic[position] - numeric)
    with np.errstate(all="ignore"):
        for path in paths.predictions(position):
            predicted = path.predicted
            assert predicted is not None
            if path.kind == "term-factor" or close(predicted, fit(predicted, numeric) * numeric):
                continue  # a change of the whole explains as much
            goal = np.concatenate(
                [(predicted if i == position else m.numeric[i])[0] for i in wanted])
            found = _fitting(bases - goal, slopes, 1e-7 * size)
            if found is not None:
                number, c = found
                trial = trials[number]
                change = describe_change(source, trial.function, trial.edit, c, True)
                both = "these two together explain the whole error"
                return [Fault(one.kind, one.message, both) for one in (change, path)]
    return []


def _fitting(gaps: Array, slopes: Array, allowed: float) -> tuple[int, float] | None:
    """The first row with gap + c * slope = 0, and its c."""
    squares = np.sum(slopes * slopes, axis=1)
    c = np.where(squares > 0, -np.sum(gaps * slopes, axis=1) / np.where(squares > 0, squares, 1), 1)
    rest = np.linalg.norm(gaps + c[:, None] * slopes, axis=1)
    # 0 or an odd number such as -7.4546 would only show how to get rid of a term
    simple = (np.abs(c) > 1e-6) & (np.abs(c - plain(c)) < 4e-7)
    fits = np.flatnonzero(simple & (rest <= allowed))
    return (int(fits[0]), float(c[fits[0]])) if len(fits) else None


def several(m: Measurement, position: int, paths: Paths) -> tuple[list[Fault], int]:
    """The faults of one input's gradient that together explain most of it, in the order of how much
    each explains; and how many elements still differ from what the last of them predicts."""
    analytic, predicted = m.analytic[position], m.numeric[position]
    if not np.all(np.isfinite(analytic)):
        return [], 0
    faults: list[Fault] = []
    left = 0
    for number in range(ROUNDS):
        v = WrongGradient(m, position, analytic, predicted)
        last = wrong_elements(v) or (next(float32(v), None) if faults else None)
        if last:
            return [*faults, last], 0
        best = _best(v, paths if number == 0 else None)
        if best is None:
            break
        assert best[-1].predicted is not None
        predicted = best[-1].predicted
        wrong = differing(v, analytic, predicted)
        left, size = int(wrong.sum()), wrong.size
        evidence = f"so {size - left} of {size} elements are as returned, {m.digits}"
        best = [replace(fault, evidence=evidence) for fault in best]
        if left:
            rest = f" After that, {left} of {size} elements ({left / size:.0%}) are still wrong."
            best[-1] = replace(best[-1], sentence=best[-1].message + rest)
        faults += best
        if not left:
            break
    return faults, left


def _best(v: WrongGradient, paths: Paths | None) -> list[Fault] | None:
    """The fault, or the fault and a factor, after which most elements are right."""
    before = _right(v, v.numeric)
    best: list[Fault] = []
    most = before + max(LEAST * (1 - before), 1.5 / v.numeric.shape[1])
    for fault in _candidates(v, paths):
        alone = v.numeric if fault is None or fault.predicted is None else fault.predicted
        ratio = common_ratio(v.analytic, alone)
        for c in dict.fromkeys((1.0, ratio or 1.0)):
            right = _right(v, c * alone)
            if right > most + 1e-9:
                most = right
                best = [] if fault is None else [fault]
                if c != 1.0:
                    best.append(scaled(WrongGradient(v.m, v.position, c * alone, alone), c))
    return best or None


def _right(v: WrongGradient, predicted: Array) -> float:
    """The fraction of the elements that are as predicted."""
    return 1 - float(np.mean(differing(v, v.analytic, predicted)))


def _candidates(v: WrongGradient, paths: Paths | None) -> Iterator[Fault | None]:
    yield None  # nothing but perhaps a factor
    yield from rearranged(v)
    yield from of_others(v)
    yield from scaled_parts(v)
    if paths is not None:
        yield from paths.predictions(v.position)
