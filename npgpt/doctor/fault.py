"""What the rules are given, one wrong gradient, and what they give, a named fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm
from .measure import Measurement

DIGITS = 1e-8


@dataclass(frozen=True)
class Fault:
    """One hypothesis: the `kind`, a key of KINDS, a `sentence` in a student's words, what the name
    rests on.

    Of two faults that explain the same the one of less `cost` is believed. `predict` turns the
    truth into what this fault alone would give in its place, `undo` what was given into the truth;
    a gradient's truth is (K, N), of K douts and N elements. `coefficient` is the number that
    repairs a term; `nonlinear` means that the sentence already explains that dout is not a factor
    of every term; `doubtful` that backward's source may explain it better.
    """

    kind: str
    sentence: str
    evidence: str = ""
    predicted: Array | None = field(default=None, compare=False, repr=False)
    cost: int = 1
    predict: Callable[[Array], Array] | None = field(default=None, compare=False, repr=False)
    undo: Callable[[Array], Array] | None = field(default=None, compare=False, repr=False)
    coefficient: float | None = None
    nonlinear: bool = False
    doubtful: bool = False

    @property
    def message(self) -> str:
        """The sentence."""
        return self.sentence


@dataclass(frozen=True)
class WrongGradient:
    """One input as the rules see it: `analytic` is what backward returned, `numeric` what is true.

    Both are (K, N): K random douts, N elements of the input.
    """

    m: Measurement
    position: int
    analytic: Array
    numeric: Array

    @property
    def name(self) -> str:
        """forward's name for the input."""
        return self.m.subject.names[self.position]

    @property
    def shape(self) -> tuple[int, ...]:
        """The input's shape."""
        return self.m.subject.shape(self.position)

    @property
    def jacobian(self) -> Array:
        """(N, M): element n of the input, element m of out."""
        return self.m.jacobian[self.position]

    def cubes(self, rows: Array) -> Array:
        """(K, N) as (K, *shape)."""
        return rows.reshape(len(rows), *self.shape)

    def weighted(self, mask: Array) -> Array:
        """The true gradient if dout were multiplied by `mask` (of out's shape) first: (K, N)."""
        douts = self.m.douts * mask
        return np.asarray(douts.reshape(len(douts), -1) @ self.jacobian.T)


def wrong_gradient(m: Measurement, position: int) -> WrongGradient:
    """The gradient at one position of a measurement."""
    return WrongGradient(m, position, m.analytic[position], m.numeric[position])


def close(analytic: Array, predicted: Array) -> bool:
    """Equal to eight digits, as a whole; a prediction of nothing never fits."""
    size = norm(predicted)
    return size > 0 and norm(analytic - predicted) <= DIGITS * size


def fit(analytic: Array, numeric: Array) -> float:
    """The number c that brings c * numeric closest to analytic."""
    return float(np.sum(analytic * numeric) / max(float(np.sum(numeric * numeric)), 1e-300))
