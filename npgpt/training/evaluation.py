"""Loss on held-back text, without dropout and without gradients."""

from __future__ import annotations

from typing import Any, Callable, Iterable

from .. import model
from ..config import GPT2Config
from ..params import Params
from ..tape import Array


class Stopped(Exception):
    """An evaluation was asked to stop before it had seen all of the text."""


def mean_loss(
    params: Params, config: GPT2Config, batches: Iterable[tuple[Array, Array]], *, ops: Any,
    on_batch: Callable[[int], bool] | None = None,
) -> float:
    """Mean cross-entropy in nats over every target of the batches, each of (ids, targets).

    `on_batch` is told how many targets were seen so far; True stops, with Stopped.
    """
    total, count = 0.0, 0
    for ids, targets in batches:
        total += float(model.loss(params, ids, targets, config, ops=ops)) * targets.size
        count += targets.size
        if on_batch is not None and on_batch(count):
            raise Stopped
    if count == 0:
        raise ValueError("no batches to evaluate on: the text is shorter than one sequence")
    return total / count
