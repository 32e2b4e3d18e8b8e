"""What each rank needs and sends in a training step over N ranks, from the sizes alone.

Every rank has all parameters and the gradients of its own sequences; of the summed gradients and of
AdamW's moments it has its part, 1/N (ZeRO, stage 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from ...budget import count_parameters
from ...config import GPT2Config
from .memory import activation_memory, peak_memory


@dataclass(frozen=True)
class RankCost:
    """Bytes of the rank that has most sequences."""

    sequences: int
    """Of the batch; the only field that is not bytes."""
    parameters: int
    gradients: int
    summed: int
    """The sum of all ranks' gradients, of this rank's part."""
    moments: int
    activations: int
    """At the end of forward."""
    peak: int
    """At the highest moment of a step: activations are freed as gradients come."""
    sent: int
    """In a step: reduce-scatter and gather each send (N - 1) / N of the gradients' bytes."""


def rank_cost(
    config: GPT2Config, batch: int, length: int, ranks: int, *, dtype: DTypeLike = np.float32,
    recompute: bool = False, grad_accumulation: int = 1,
) -> RankCost:
    """The cost of a step of (batch, length) tokens over so many ranks, of which none is idle.

    Raises ValueError for more ranks than sequences.
    """
    if ranks > batch:
        raise ValueError(f"ranks={ranks} is more than the {batch} sequences of a batch; expected "
                         f"1 to {batch}")
    whole = np.dtype(dtype).itemsize * count_parameters(config)
    part = -(-whole // ranks)
    rows = -(-batch // ranks)
    return RankCost(
        rows, whole, whole, part if ranks > 1 else 0, 2 * part,
        activation_memory(config, rows, length, dtype=dtype, recompute=recompute),
        peak_memory(config, batch, length, dtype=dtype, recompute=recompute, ranks=ranks,
                    grad_accumulation=grad_accumulation),
        2 * (ranks - 1) * part,
    )
