"""Training batches: windows at random places.

A batch is a pure function of (seed, step, micro-step): nothing has to be remembered to continue a
run, and step 700 sees the same text whether the run was interrupted or not.
"""

from __future__ import annotations

import numpy as np

from ..evaluation.text import trimmed
from ..tape import Array

# keeps these streams apart from those of dropout and of the initial parameters
_BATCHES = 0xBA7C


def training_batch(
    tokens: Array, batch_size: int, length: int, *, seed: int, step: int, micro: int = 0
) -> tuple[Array, Array]:
    """ids and targets, both (batch_size, length) int64, from random places of tokens (N,).

    Of examples (N, 2, T) that many rows, cut behind the last target of all.
    """
    rng = np.random.default_rng([_BATCHES, seed, step, micro])
    if tokens.ndim == 3:
        return trimmed(tokens[rng.integers(0, len(tokens), size=batch_size)])
    starts = rng.integers(0, len(tokens) - length, size=batch_size)
    # int64 from here on: the corpus is uint16 on disk
    windows = np.stack([tokens[start:start + length + 1] for start in starts]).astype(np.int64)
    return windows[:, :-1], windows[:, 1:]
