"""Two faults of different kinds: one small change of backward's source, and one path of forward.

Every change that was tried to repair backward left some error. If for one of them that error is a
path's own part, times a plain number, then the change and the path together are the faults.
"""

from __future__ import annotations

import numpy as np

from .fault import Fault
from .measure import Measurement
from .multiple import plain
from .numeric import Array, norm
from .paths import Paths
from .repair import Trial, describe_change
from .source import read

WEIGHTS = (-1.0, -2.0, 1.0)  # by how much a path's weight is off: forgotten, reversed, doubled


def change_and_path(
    m: Measurement, position: int, wanted: list[int], paths: Paths, trials: list[Trial]
) -> list[Fault]:
    """A change and a path that together explain the error of one input, or nothing.

    `trials` are what `repair` tried for the gradients at the positions `wanted`.
    """
    source = read(m.subject.backward)
    # an added term beside a forgotten path would take back what a wrong term does
    trials = [trial for trial in trials if trial.edit.kind != "missing-term"]
    if source is None or not trials or m.subject.array(position).size < 4:
        return []
    numeric = np.concatenate([m.numeric[i][0] for i in wanted])
    lengths = [m.numeric[i].shape[1] for i in wanted]
    at = sum(lengths[: wanted.index(position)])
    gaps = np.array([trial.base for trial in trials]) - numeric
    slopes = np.array([np.zeros_like(numeric) if t.slope is None else t.slope for t in trials])
    finite = np.isfinite(gaps).all(axis=1) & np.isfinite(slopes).all(axis=1)
    size = norm(m.analytic[position] - m.numeric[position])
    with np.errstate(all="ignore"):
        for path, part in paths.predictions(position):
            assert path.predicted is not None
            if path.kind == "term-factor" or _is_multiple(path.predicted, m.numeric[position]):
                continue  # a change of the whole explains as much
            gap = path.predicted - m.numeric[position]
            off = next(o for o in WEIGHTS if np.allclose(gap, o * part))
            whole = np.zeros_like(numeric)
            whole[at : at + part.shape[1]] = off * part[0]
            found = _fitting(gaps - whole, slopes, finite, size)
            if found is not None:
                number, c = found
                trial = trials[number]
                change = describe_change(source, trial.function, trial.edit, c, True)
                both = "these two together explain the whole error"
                return [Fault(one.kind, one.message, both) for one in (change, path)]
    return []


def _fitting(
    gaps: Array, slopes: Array, finite: Array, size: float
) -> tuple[int, float] | None:
    """The first row with gap + c * slope = 0, and its c."""
    squares = np.sum(slopes * slopes, axis=1)
    c = np.where(squares > 0, -np.sum(gaps * slopes, axis=1) / np.where(squares > 0, squares, 1), 1)
    rest = np.linalg.norm(gaps + c[:, None] * slopes, axis=1)
    # 0 or an odd number such as -7.4546 would only show how to get rid of a term
    simple = (np.abs(c) > 1e-6) & (np.abs(c - plain(c)) < 4e-7)
    fits = np.flatnonzero(finite & simple & (rest <= 1e-7 * size))
    return (int(fits[0]), float(c[fits[0]])) if len(fits) else None


def _is_multiple(a: Array, b: Array) -> bool:
    c = float(np.sum(a * b)) / max(float(np.sum(b * b)), 1e-300)
    return bool(norm(a - c * b) <= 1e-7 * norm(b))
