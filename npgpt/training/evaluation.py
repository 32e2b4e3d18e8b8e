"""Loss on held-back text, without dropout and without gradients."""

from __future__ import annotations

from typing import Any, Iterable

from .. import model
from ..config import GPT2Config
from ..params import Params
from ..tape import Array


def mean_loss(
    params: Params, config: GPT2Config, batches: Iterable[tuple[Array, Array]], *, ops: Any
) -> float:
    """Mean cross-entropy in nats over every target of the batches, each of (ids, targets)."""
    total, count = 0.0, 0
    for ids, targets in batches:
        total += float(model.loss(params, ids, targets, config, ops=ops)) * targets.size
        count += targets.size
    if count == 0:
        raise ValueError("no batches to evaluate on: the text is shorter than one sequence")
    return total / count
