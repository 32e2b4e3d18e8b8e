"""What explains a wrong number: one record for gradients, values and programs, and how near counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm

# The tolerances of the doctor. Gradients are taken to 15 digits by the complex step, to 11 by
# Richardson, to 4 where forward computes in float32.
DIGITS = 1e-8   # of the whole: what was given meets a prediction, and eight digits are no chance
NEARLY = 3e-3   # the same where forward computes in float32
NEAR = 1e-7     # a number found by least squares stands for one that people write
PATH = 1e-6     # of the error: what paths of forward explain, each weight found by least squares
ALIKE = 1e-8    # two paths, or two gradients, that differ by less are the same


@dataclass(frozen=True)
class Fault:
    """One hypothesis: the `kind`, a key of KINDS, a `sentence` in a student's words, what the name
    rests on.

    Of two faults that explain the same the one of less `cost` is believed. `predict` turns the
    truth into what this fault alone would give in its place, `undo` what was given into the truth:
    a gradient's truth is (K, N), of K douts and N elements, what was given (K, *its shape).
    `nonlinear` means that the sentence explains that dout is not a factor of every term, `doubtful`
    that backward's source may explain it better. Faults of two gradients with the same `kind` and
    the same `cause` are one mistake; a cause of None is nobody else's.
    """

    kind: str
    sentence: str
    evidence: str = ""
    cost: int = 1
    predict: Callable[[Array], Array] | None = field(default=None, compare=False, repr=False)
    undo: Callable[[Array], Array] | None = field(default=None, compare=False, repr=False)
    nonlinear: bool = False
    doubtful: bool = False
    cause: object = field(default=None, compare=False)


Change = Callable[[Array], Array]


def gives(rows: Array) -> Change:
    """What gives the same, whatever the truth is."""
    return lambda _: rows


def adds(rows: Array) -> Change:
    """What adds something to the truth."""
    return lambda truth: truth + rows


def close(given: Array, predicted: Array, digits: float = DIGITS) -> bool:
    """Equal to eight digits, as a whole; a prediction of nothing never fits."""
    size = norm(predicted)
    return size > 0 and norm(given - predicted) <= digits * size


def fit(given: Array, truth: Array) -> float:
    """The number c that brings c * truth closest to what was given."""
    return float(np.sum(given * truth) / max(float(np.sum(truth * truth)), 1e-300))
