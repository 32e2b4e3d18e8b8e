"""The training step: loss and gradients of one batch, on all cores.

    rng = RowRandom(seed, step, 0, len(ids))
    loss, grads = loss_and_grads(params, ids, targets, config, rng=rng)

Two ways to use several cores. A large model cuts every op over the threads. A small one, whose ops
are too short for that, is cut once: the batch goes in as many *shards* as there are threads, each
through the whole forward and backward on a thread of its own, or in a process of its own
(workers.py, as `npgpt train` does), and the gradients are added in the order of the shards. Which
way is chosen by the sizes that were measured (see `choose_shards`).

Dropout does not notice: pass a `RowRandom`, which draws every row of the batch from a generator of
its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Collection, Mapping

import numpy as np

from ...checked import checked
from ...config import GPT2Config
from ...fast.ops import FAST, blas_of
from ...ids import check_batch, check_integer
from ...layers.contract import UniformSource
from ...layers.cross_entropy import IGNORE
from ...machine import threads as _threads
from ...machine.threads import THRESHOLDS
from ...ops import Ops
from ...params import check_params, matrix_weights
from ...tape import Array
from .row_random import RowRandom
from .shard import Shard, shard_gradients

if TYPE_CHECKING:
    from .workers import Workers


@checked
def loss_and_grads(
    params: Mapping[str, Array],
    ids: Array,
    targets: Array,
    config: GPT2Config,
    *,
    ops: Ops = FAST,
    rng: UniformSource | None = None,
    threads: int | None = None,
    shards: int | None = None,
    recompute: bool = False,
    workers: Workers | None = None,
    frozen: Collection[str] = (),
    counted: int | None = None,
    on_final: Callable[[str, Array], None] | None = None,
) -> tuple[float, dict[str, Array]]:
    """What training minimises, in nats, and its gradient for every parameter.

    Every gradient in npgpt comes from here: `GPT2.loss_and_grads`, training and the lab. The loss
    is `model.training_loss`: the mean cross-entropy over the targets (B, T) of ids (B, T), not
    counting targets of -100, plus the config's entropy penalty if it has one. Dropout happens where
    `rng` is passed.

        threads     how many; `threads.get_threads()` by default
        shards      how many parts the batch is cut into; by default what suits the sizes, and 1
                    with an entropy penalty. More than one needs a RowRandom as `rng`, if there is
                    dropout
        recompute   activation checkpointing: each block saves its input alone and is computed again
                    in backward, which takes less memory and a quarter to a third more time
        workers     worker processes that compute shards where there are threads - 1 of them, to the
                    same bits; with the fast ops only
        frozen      names of parameters that get no gradient: nothing is saved or computed for them
        counted     counted targets of the whole batch, where these are some of its sequences: loss
                    and gradients are then their summand of the whole batch's
        on_final    sees most gradients, each as soon as backward has finished it; none where the
                    batch is cut into shards, which are added after backward

    The gradients are arrays of their own. Raises ValueError for shapes that differ, for an rng that
    cannot be cut where shards are asked for, and for `recompute` with an entropy penalty.
    """
    check_params(config, params, others=True)
    constants = tuple(name for name in params if name in frozen)
    if len(constants) == len(params):
        raise ValueError("frozen: every parameter is; expected some to get a gradient")
    ids, targets = check_batch(ids, targets, config.vocab_size)
    if shards is not None:
        check_integer("shards", shards, 1)
    if not (config.embd_pdrop or config.resid_pdrop or config.attn_pdrop):
        rng = None
    with _threads.using(threads), blas_of(ops, config, ids.size):
        if shards is None or config.entropy.penalty:
            shards = choose_shards(config, len(ids), ids.shape[1], rng)
        shards = min(shards, len(ids))
        here = int((targets != IGNORE).sum())
        counted = here if counted is None else counted
        if shards <= 1:
            weight = 1.0 if here == counted else here / counted
            whole = Shard(ids, targets, config, rng, weight, recompute, constants)
            return shard_gradients(params, whole, ops, on_final)
        return _sharded(params, ids, targets, config, ops, rng, shards, recompute, workers,
                        constants, counted)


def choose_shards(
    config: GPT2Config, batch: int, length: int, rng: UniformSource | None = None
) -> int:
    """How many shards a batch (batch, length) is best cut into: 1, or one per thread."""
    small = matrix_weights(config) <= THRESHOLDS.shard_parameters
    pays = matrix_weights(config) * batch * length >= THRESHOLDS.shard_work
    can_be_cut = rng is None or isinstance(rng, RowRandom)
    # a penalty is a function of the whole batch's entropy, not a sum over its sequences
    if not (small and pays and can_be_cut) or config.entropy.penalty:
        return 1
    return min(_threads.get_threads(), batch)


def batches_at_a_time(config: GPT2Config, batch: int, length: int) -> int:
    """How many batches (batch, length) are best evaluated at a time, each on a thread of its own.

    As many as threads, for models that are small enough to be cut and large enough for threads.
    """
    pays = matrix_weights(config) * batch * length >= THRESHOLDS.thread_work
    small = matrix_weights(config) <= THRESHOLDS.shard_parameters
    return _threads.get_threads() if pays and small else 1


def add_gradients(total: dict[str, Array], more: dict[str, Array]) -> None:
    """Add `more` to `total` in place, and empty `more`: its memory is needed by the next batch."""
    while more:
        name, grad = more.popitem()
        np.add(total[name], grad, out=total[name])


def _sharded(
    params: Mapping[str, Array], ids: Array, targets: Array, config: GPT2Config, ops: Ops,
    rng: UniformSource | None, shards: int, recompute: bool, workers: Workers | None,
    frozen: tuple[str, ...], total: int,
) -> tuple[float, dict[str, Array]]:
    if rng is not None and not isinstance(rng, RowRandom):
        raise ValueError("dropout in shards needs a RowRandom, which can be cut like the batch")
    borders = [len(ids) * i // shards for i in range(shards + 1)]
    counted = targets != IGNORE
    jobs = []
    for start, stop in zip(borders, borders[1:]):
        part_rng = None if rng is None else rng.rows(start, stop)
        # a shard's loss is a mean over its own targets: weigh it by how many it counted
        weight = int(counted[start:stop].sum()) / max(1, total)
        jobs.append(Shard(ids[start:stop], targets[start:stop], config, part_rng, weight,
                          recompute, frozen))

    if workers is not None and ops == FAST and workers.ready(shards - 1, params):
        results = workers.gradients(params, jobs)
    else:
        done: dict[int, tuple[float, dict[str, Array]]] = {}

        def work(i: int) -> None:
            # one thread's work also where shards go in turn: the bits are those of a worker process
            with _threads.using(1):
                done[i] = shard_gradients(params, jobs[i], ops)

        _threads.each(work, shards, matrix_weights(config) * ids.size >= THRESHOLDS.thread_work)
        results = [done[i] for i in range(shards)]
    loss, grads = results[0]
    names = list(grads)

    def gather(i: int) -> None:
        for _, others in results[1:]:
            np.add(grads[names[i]], others[names[i]], out=grads[names[i]])

    size = sum(g.size for g in grads.values())
    _threads.each(gather, len(names), size >= THRESHOLDS.elements)
    return loss + sum(r[0] for r in results[1:]), grads
