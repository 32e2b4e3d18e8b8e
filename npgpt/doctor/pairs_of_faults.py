"""Two faults in one gradient: a change of backward's source and a path of forward.

Every change that was tried to repair backward's source left some error. If for one of them that
error is the own part of a path of forward, times a plain number, then the two are the faults.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm
from .fault import NEAR, Fault, close, fit
from .measure import Measurement
from .multiple import plain
from .paths import Paths
from .repair import Trial, describe_change
from .traced_source import program


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
            assert path.predict is not None
            predicted = path.predict(numeric)
            if path.kind == "term-factor" or close(predicted, fit(predicted, numeric) * numeric):
                continue  # a change of the whole explains as much
            goal = np.concatenate(
                [(predicted if i == position else m.numeric[i])[0] for i in wanted])
            found = _fitting(bases - goal, slopes, NEAR * size)
            if found is not None:
                number, c = found
                trial = trials[number]
                change = describe_change(source, trial.function, trial.edit, c, True)
                both = "these two together explain the whole error"
                return [Fault(one.kind, one.sentence, both) for one in (change, path)]
    return []


def _fitting(gaps: Array, slopes: Array, allowed: float) -> tuple[int, float] | None:
    """The first row with gap + c * slope = 0, and its c."""
    squares = np.sum(slopes * slopes, axis=1)
    c = np.where(squares > 0, -np.sum(gaps * slopes, axis=1) / np.where(squares > 0, squares, 1), 1)
    rest = np.linalg.norm(gaps + c[:, None] * slopes, axis=1)
    # 0 or an odd number such as -7.4546 would only show how to get rid of a term
    simple = (np.abs(c) > 1e-6) & (np.abs(c - plain(c)) < 4 * NEAR)
    fits = np.flatnonzero(simple & (rest <= allowed))
    return (int(fits[0]), float(c[fits[0]])) if len(fits) else None
