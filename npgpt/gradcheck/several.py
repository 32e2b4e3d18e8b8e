"""Several faults in one gradient: name the one that explains most, then look at what is left.

A fault is believed here although some elements disagree with it, if it brings clearly more of them
right than were right without it. What it predicts then takes the place of the truth, and the next
fault is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .elements import common_ratio, differing, scaled_parts, wrong_elements
from .measure import Measurement
from .numeric import Array
from .paths import Paths
from .rules import float32, of_others, rearranged, scaled
from .view import Explanation, View

ROUNDS = 3
LEAST = 0.25  # share of the elements that a fault must bring right


@dataclass(frozen=True)
class Named:
    """Faults found, in the order of how much they explain; `left` elements still differ from
    what they predict, `predicted` (K, N)."""

    faults: list[Explanation]
    predicted: Array
    left: int


def several(m: Measurement, position: int, paths: Paths) -> Named | None:
    """The faults of one input's gradient that together explain most of it, or None."""
    said, true = m.analytic[position], m.numeric[position]
    if not np.all(np.isfinite(said)):
        return None
    faults: list[Explanation] = []
    predicted = true
    wrong = differing(View(m, position, said, true), said, true)
    for number in range(ROUNDS):
        view = View(m, position, said, predicted)
        last = wrong_elements(view) or (float32(view) if faults else None)
        if last:
            return Named([*faults, last], said, 0)
        best = _best(view, paths if number == 0 else None)
        if best is None:
            break
        assert best[-1].predicted is not None
        predicted = best[-1].predicted
        wrong = differing(view, said, predicted)
        left, size = int(wrong.sum()), wrong.size
        evidence = f"so {size - left} of {size} elements are as returned, to eight digits"
        best = [replace(fault, evidence=evidence) for fault in best]
        if left:
            rest = f" After that, {left} of {size} elements ({left / size:.0%}) are still wrong."
            best[-1] = replace(best[-1], message=best[-1].message + rest)
        faults += best
        if not left:
            break
    return Named(faults, predicted, int(wrong.sum())) if faults else None


def _best(v: View, paths: Paths | None) -> list[Explanation] | None:
    """The fault, or the fault and a factor, after which most elements are right."""
    right = 1 - float(np.mean(differing(v, v.said, v.true)))
    best: list[Explanation] | None = None
    most = right + max(LEAST * (1 - right), 1.5 / v.true.shape[1])
    for fault in _candidates(v, paths):
        alone = fault.predicted if fault.predicted is not None else v.true
        ratio = common_ratio(v.said, alone)
        for c in (1.0,) if ratio in (None, 1.0) else (1.0, ratio):
            assert c is not None
            share = 1 - float(np.mean(differing(v, v.said, c * alone)))
            if share > most + 1e-9:
                most = share
                whole = View(v.m, v.position, c * alone, alone)
                steps = [] if fault.kind == "" else [fault]
                best = steps + ([scaled(whole, c)] if c != 1.0 else [])
    return best or None


def _candidates(v: View, paths: Paths | None) -> Iterator[Explanation]:
    yield Explanation("", "", "", v.true)  # nothing but perhaps a factor
    yield from rearranged(v)
    yield from of_others(v)
    yield from scaled_parts(v)
    if paths is not None:
        yield from (told for told, _ in paths.predictions(v.position))
