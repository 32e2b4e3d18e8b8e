"""One shard of a training step: a part of the batch, through forward and backward."""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple, cast

import numpy as np

from ... import model
from ...config import GPT2Config
from ...layers.contract import UniformSource
from ...ops import Ops
from ...tape import Array, Tape, Var
from .checkpointing import checkpointed_block


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
    """Its fraction of the batch's counted targets: the part's mean loss is multiplied by it."""
    recompute: bool
    """Whether blocks are checkpointed, see checkpointing.py."""
    frozen: tuple[str, ...] = ()
    """The parameters that need no gradient: constants, for which nothing is saved."""


def shard_gradients(
    params: Mapping[str, Array], shard: Shard, ops: Ops,
    on_final: Callable[[str, Array], None] | None = None,
) -> tuple[float, dict[str, Array]]:
    """The weighted loss in nats of one shard, and its gradient for what is not frozen.

    `on_final` sees most gradients as soon as backward has finished them.
    """
    tape, frozen = Tape(), set(shard.frozen)
    watched = tape.watch({name: a for name, a in params.items() if name not in frozen})
    # a constant among Vars has no gradient; ops take it like any plain array
    constants = cast("dict[str, Var]", {name: params[name] for name in frozen})
    loss = model.training_loss(
        constants | watched, shard.ids, shard.targets, shard.config, ops=ops, rng=shard.rng,
        run_block=checkpointed_block if shard.recompute else None,
    )
    names = {var: name for name, var in watched.items()}
    grads = tape.backward(
        loss, np.full((), shard.weight, loss.value.dtype),
        on_final=on_final and (lambda var, grad: on_final(names[var], grad)))
    return float(loss.value) * shard.weight, {name: grads[var] for name, var in watched.items()}
