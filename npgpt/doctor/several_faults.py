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
from .paths import Paths
from .places import common_ratio, differing, scaled_parts, wrong_elements
from .rules import float32, of_others, rearranged, scaled

ROUNDS = 3
LEAST = 0.25  # fraction of the elements that a fault must bring right


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
            best[-1] = replace(best[-1], message=best[-1].message + rest)
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
