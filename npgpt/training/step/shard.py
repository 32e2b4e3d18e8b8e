"""One shard of a training step: a part of the batch, through forward and backward."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import numpy as np

from ... import model
from ...config import GPT2Config
from ...layers.contract import Array, UniformSource
from .checkpointing import recomputed_block
from .play import STEP_OPS, StepTape, play


class Shard(NamedTuple):
    """What is to be computed for one part of a batch."""

    ids: Array
    """(B, T)."""
    targets: Array
    """(B, T)."""
    config: GPT2Config
    rng: UniformSource | None
    """Where dropout draws from; None for none."""
    weight: float
    """Its share of the batch's targets: the part's mean loss is multiplied by it."""
    recompute: bool


def shard_gradients(params: Mapping[str, Array], shard: Shard) -> tuple[float, dict[str, Array]]:
    """The weighted loss in nats of one shard, and its gradient for every parameter."""
    tape = StepTape()
    watched = tape.watch(dict(params))
    loss = model.training_loss(
        watched, shard.ids, shard.targets, shard.config, ops=STEP_OPS, rng=shard.rng,
        run_block=recomputed_block if shard.recompute else None,
    )
    value = float(loss.value) * shard.weight
    dloss = np.full((), shard.weight, loss.value.dtype)
    grads: list[Any] = play(tape, loss, dloss, list(watched.values()))
    return value, dict(zip(watched, grads))
