"""Loss on held-back text, without dropout and without gradients."""

from __future__ import annotations

from itertools import islice
from typing import Callable, Iterable

from .. import model
from ..config import GPT2Config
from ..machine.threads import each
from ..ops import Ops
from ..params import Params
from ..tape import Array


class Stopped(Exception):
    """An evaluation was asked to stop before it had seen all of the text."""


def mean_loss(
    params: Params, config: GPT2Config, batches: Iterable[tuple[Array, Array]], *, ops: Ops,
    on_batch: Callable[[int], bool] | None = None, together: int = 1,
) -> float:
    """Mean cross-entropy in nats over every target of the batches, each of (ids, targets).

    `on_batch` is told how many targets were seen so far; True stops, with Stopped. `together`
    batches are computed at a time, each on a thread of its own: what a small model is best at.
    """
    total, count = 0.0, 0
    waiting = iter(batches)
    while group := list(islice(waiting, together)):
        losses = [0.0] * len(group)

        def work(i: int) -> None:
            losses[i] = float(model.loss(params, *group[i], config, ops=ops))

        each(work, len(group))
        for loss, (_, targets) in zip(losses, group):
            total += loss * targets.size
            count += targets.size
        if on_batch is not None and on_batch(count):
            raise Stopped
    if count == 0:
        raise ValueError("no batches to evaluate on: the text is shorter than one sequence")
    return total / count
