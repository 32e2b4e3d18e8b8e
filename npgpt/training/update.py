"""One update of a run's state: gradients of the step's batches, the norm, AdamW.

Over ranks each computes its sequences of the batch, and updates its part of the parameters, see
`team`.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import Callable

import numpy as np

from ..documents import Json
from ..fast.ops import FAST
from ..layers.cross_entropy import IGNORE
from ..ops import TEXTBOOK
from ..params import Params
from ..probe.trace import first_break
from ..tape import Array
from .batches import training_batch
from .log import RunLog
from .schedule import learning_rate
from .state import TrainingState
from .step.adamw import adamw_step, clipping, decaying, global_norm, zero_moments
from .step.gradients import add_gradients, loss_and_grads
from .step.row_random import RowRandom
from .step.workers import Workers


class Diverged(ArithmeticError):
    """The loss or a gradient is NaN or infinite; nothing of that step was applied or saved."""


def train_step(
    state: TrainingState, tokens: Array, log: RunLog | None = None, workers: Workers | None = None,
) -> Json:
    """One update of `state` in place; returns the step's line for the log.

    Raises Diverged before anything is changed.
    """
    settings, started, team = state.run.train, time.perf_counter(), state.team
    lr, norm = learning_rate(state.step, settings), math.nan
    # what overflows is found and named below, once, instead of as a warning from every layer
    with np.errstate(over="ignore", invalid="ignore"), (
            team.command("step") if team else nullcontext()):
        loss, grads = batch_gradients(state, tokens, workers)
        params, summed = state.trained, grads
        if team:
            params, summed = team.params, team.sum_gradients(grads)
            loss, norm = team.total(loss, global_norm(summed))
        elif math.isfinite(loss):
            norm = global_norm(grads)
        finite = math.isfinite(loss) and math.isfinite(norm)
        bad = "" if finite else _first_bad(state, grads)
        if finite:
            adamw_step(
                params, summed, state.mean, state.square, step=state.step + 1, lr=lr,
                betas=(settings.beta1, settings.beta2), eps=settings.adam_epsilon,
                weight_decay=settings.weight_decay, grad_scale=clipping(norm, settings.grad_clip),
                decay_names=decaying(state.trained, state.config.slope_decay))
        if team:
            team.share_parameters()
            bad = bad if finite else team.first(bad)
    record = {"step": state.step + 1, "loss": loss, "lr": lr, "grad_norm": norm}
    if not finite:
        if team:
            team.ranks.over = True
        raise Diverged(_diagnosis(state, tokens, record, bad, log))
    state.step += 1
    n_tokens = settings.batch_size * settings.grad_accumulation * state.run.sequence_length
    record["tokens_per_second"] = round(n_tokens / (time.perf_counter() - started), 1)
    return record


def batch_gradients(
    state: TrainingState, tokens: Array, workers: Workers | None = None
) -> tuple[float, Params]:
    """Mean loss and gradients over the step's batches (several with gradient accumulation)."""
    settings, config = state.run.train, state.config
    dropout = max(config.resid_pdrop, config.embd_pdrop, config.attn_pdrop) > 0.0

    def one(micro: int, on_final: Callable[[str, Array], None] | None) -> tuple[float, Params]:
        ids, targets = _batch(state, tokens, micro)
        rows = state.rows
        rng = (RowRandom(settings.seed, state.step, micro, len(rows), rows.start)
               if dropout else None)
        return loss_and_grads(
            state.params, ids[rows.start:rows.stop], targets[rows.start:rows.stop], config,
            ops=state.ops, rng=rng, threads=settings.threads or None,
            recompute=settings.recompute, workers=workers, frozen=state.frozen,
            counted=int((targets != IGNORE).sum()), on_final=on_final,
        )

    batches, on_final = settings.grad_accumulation, state.team.on_final if state.team else None
    if batches == 1:
        return one(0, on_final)
    # made before the batches' own: among those it would break up the heap
    total, summed = 0.0, zero_moments(state.trained)
    left = set(summed)

    def finish(name: str, grad: Array) -> None:
        summed[name] += grad
        summed[name] /= batches
        left.remove(name)

    def final(name: str, grad: Array) -> None:
        finish(name, grad)
        if on_final is not None:
            on_final(name, summed[name])

    for micro in range(batches - 1):
        loss, grads = one(micro, None)
        total += loss / batches
        add_gradients(summed, grads)
    loss, grads = one(batches - 1, on_final and final)
    while grads:
        name, grad = grads.popitem()
        if name in left:
            finish(name, grad)
    return total + loss / batches, summed


def _batch(state: TrainingState, tokens: Array, micro: int) -> tuple[Array, Array]:
    settings = state.run.train
    return training_batch(tokens, settings.batch_size, state.run.sequence_length,
                          seed=settings.seed, step=state.step, micro=micro)


def _first_break(state: TrainingState, tokens: Array) -> str | None:
    """Where the numbers of the step's batches first break, computed again without dropout."""
    # the fast ops compute several steps at once: the textbook's name each
    ops = TEXTBOOK if state.ops == FAST else state.ops
    for micro in range(state.run.train.grad_accumulation):
        broken = first_break(state.params, *_batch(state, tokens, micro), state.config, ops)
        if broken:
            return broken
    return None


def _first_bad(state: TrainingState, grads: Params) -> str:
    """The first parameter or gradient that is not finite, "" if there is none."""
    for kind, arrays in (("parameter", state.params), ("gradient", grads)):
        for name, array in arrays.items():
            bad = array.size - int(np.isfinite(array).sum())
            if bad:
                return (f"the first bad {kind} is {name} ({bad} of {array.size} numbers are NaN "
                        f"or infinite)")
    return ""


def _diagnosis(
    state: TrainingState, tokens: Array, record: Json, bad: str, log: RunLog | None
) -> str:
    """What went wrong in a step, which `log` gets too."""
    broken = _first_break(state, tokens) if log is not None or not state.team else None
    if log is not None:
        log.write(record | ({"first_break": broken} if broken else {}))
    first = f"; the first layer to break is {broken}" if broken else ""
    where = f"step {record['step']}: loss {record['loss']}"
    return (f"{where}; {bad}" if bad else
            f"{where}, though every parameter and gradient is finite") + first
