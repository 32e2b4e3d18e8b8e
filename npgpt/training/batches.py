"""Batches: random windows for training, fixed windows for evaluation.

A training batch is a pure function of (seed, step, micro-step): nothing has to be remembered to
continue a run, and step 700 sees the same text whether the run was interrupted or not.
"""

from __future__ import annotations

from typing import Iterator

import numpy as np

from ..tape import Array

# keeps these streams apart from those of dropout and of the initial parameters
_BATCHES = 0xBA7C


def training_batch(
    tokens: Array, batch_size: int, length: int, *, seed: int, step: int, micro: int = 0
) -> tuple[Array, Array]:
    """ids and targets, both (batch_size, length) int64, from random places of tokens (N,)."""
    rng = np.random.default_rng([_BATCHES, seed, step, micro])
    starts = rng.integers(0, len(tokens) - length, size=batch_size)
    return _windows(tokens, starts, length)


def evaluation_batches(
    tokens: Array, batch_size: int, length: int, n_batches: int = 0
) -> Iterator[tuple[Array, Array]]:
    """Windows that lie end to end over tokens (N,): every target is seen once, the last few in a
    shorter window.

    With n_batches > 0, that many batches of whole windows spread evenly over the text.
    """
    starts = np.arange(0, len(tokens) - length, length)
    if 0 < n_batches * batch_size < len(starts):
        picked = np.linspace(0, len(starts) - 1, n_batches * batch_size)
        starts = starts[picked.astype(int)]
    for first in range(0, len(starts), batch_size):
        yield _windows(tokens, starts[first:first + batch_size], length)
    rest = (len(tokens) - 1) % length
    if n_batches == 0 and rest:
        yield _windows(tokens, np.array([len(tokens) - 1 - rest]), rest)


def _windows(tokens: Array, starts: Array, length: int) -> tuple[Array, Array]:
    # int64 from here on: the corpus is uint16 on disk
    rows = np.stack([tokens[start:start + length + 1] for start in starts]).astype(np.int64)
    return rows[:, :-1], rows[:, 1:]
