"""What the rules look at: one input's gradient as backward said it and as it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .measure import Measurement
from .numeric import Array

DIGITS = 1e-8


@dataclass(frozen=True)
class Explanation:
    """The `kind` of a fault, a sentence for a learner, and what the name rests on.

    `predicted` is what backward would have said (K, N) with this fault alone, where a rule knows.
    """

    kind: str
    message: str
    evidence: str
    predicted: Array | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class View:
    """One input as the rules see it: what backward `said` and what is `true`, both (K, N)."""

    m: Measurement
    position: int
    said: Array
    true: Array

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


def close(said: Array, predicted: Array) -> bool:
    """Equal to eight digits, as a whole; a prediction of nothing never fits."""
    size = float(np.linalg.norm(predicted))
    return size > 0 and float(np.linalg.norm(said - predicted)) <= DIGITS * size


def fit(said: Array, true: Array) -> float:
    """The number c that brings c * true closest to said."""
    return float(np.sum(said * true) / max(float(np.sum(true * true)), 1e-300))
