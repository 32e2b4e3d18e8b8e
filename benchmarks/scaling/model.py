"""The cost of a step over N ranks: a formula of few constants, each of them measured.

    T(N, s)        = g0 + g1 s + a / N + reduce_scatter(N, b) + gather(N, b)
    reduce_scatter = K (N - 1) alpha + (N - 1) / N b (beta + gamma)
    gather         =   (N - 1) alpha + (N - 1) / N b beta

    s              sequences of a rank; g0 + g1 s is the time of their gradients
    a              AdamW on all parameters; a rank updates its part
    b              bytes of the gradients, and of the parameters
    K              buckets, in which reduce-scatter sends
    alpha          seconds of a message, however short (latency)
    beta           seconds of a byte on its way (1 / bandwidth)
    gamma          seconds of a byte that is copied into a bucket and added

MPI's algorithms for long messages, pairwise exchange and a ring, take N - 1 rounds; in each of them
a rank sends and receives b / N bytes at the same time.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Iterable

import numpy as np

from npgpt.machine.ranks import bucket_part

from .hosts import PAYLOAD

Times = list[tuple[str, int, int, float]]
"""reduce_scatter or gather, ranks, bytes, seconds."""


@dataclass(frozen=True)
class Link:
    """What sending costs, in seconds."""

    alpha: float
    beta: float
    gamma: float

    def reduce_scatter(self, ranks: int, nbytes: float) -> float:
        """Seconds of the sum of a flat buffer of that size, each rank its part of it."""
        return float(np.dot(_terms("reduce_scatter", ranks, nbytes), list(asdict(self).values())))

    def gather(self, ranks: int, nbytes: float) -> float:
        """Seconds until all ranks have all parts of a flat buffer of that size."""
        return float(np.dot(_terms("gather", ranks, nbytes), list(asdict(self).values())))

    def at(self, gigabits: float) -> Link:
        """The same over a card of so many Gb/s, of which headers take some."""
        return Link(self.alpha, 8 / (gigabits * 1e9 * PAYLOAD), self.gamma)


def _terms(kind: str, ranks: int, nbytes: float) -> tuple[float, float, float]:
    """How often alpha, beta and gamma are paid."""
    way = (ranks - 1) / ranks * nbytes
    if kind == "gather":
        return ranks - 1, way, 0.0
    buckets = math.ceil(math.ceil(nbytes / 4 / ranks) / bucket_part(ranks))
    return buckets * (ranks - 1), way, way


def fit(times: Iterable[tuple[str, int, int, float]]) -> Link:
    """The constants, none negative, with which the relative errors have the least squares."""
    from scipy.optimize import nnls

    rows = [(np.array(_terms(kind, ranks, nbytes)) / seconds)
            for kind, ranks, nbytes, seconds in times]
    scale = np.max(rows, axis=0)
    found, _ = nnls(np.array(rows) / scale, np.ones(len(rows)))
    return Link(*(found / scale).tolist())


@dataclass(frozen=True)
class Work:
    """What computing costs a rank, in seconds, and what it has to send, in bytes."""

    g0: float
    g1: float
    adamw: float
    nbytes: float

    def step(self, ranks: int, sequences: float, link: Link) -> float:
        """Seconds of a step in which each rank has so many sequences."""
        return (self.g0 + self.g1 * sequences + self.adamw / ranks
                + link.reduce_scatter(ranks, self.nbytes) + link.gather(ranks, self.nbytes))

    def weak(self, ranks: int, sequences: float, link: Link) -> float:
        """Efficiency where every rank has so many sequences: T(1) / T(N)."""
        return self.step(1, sequences, link) / self.step(ranks, sequences, link)

    def strong(self, ranks: int, sequences: float, link: Link) -> float:
        """Efficiency where all ranks share so many sequences: T(1) / (N T(N))."""
        alone = self.step(1, sequences, link)
        return alone / (ranks * self.step(ranks, sequences / ranks, link))


def work_of(half: float, whole: float, sequences: float, adamw: float, nbytes: float) -> Work:
    """The work whose gradients take `half` seconds for half of the sequences, `whole` for all."""
    g1 = max(0.0, (whole - half) / (sequences / 2))
    return Work(max(0.0, whole - g1 * sequences), g1, adamw, nbytes)
