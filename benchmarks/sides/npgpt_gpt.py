"""npgpt's side of every comparison of whole models."""

from __future__ import annotations

import time
from typing import Any, Callable

import numpy as np

from npgpt import GPT2Config
from npgpt.machine import threads as _threads
from npgpt.params import init_params
from npgpt.training.step.adamw import adamw_step, global_norm
from npgpt.training.step.gradients import choose_shards, loss_and_grads
from npgpt.training.step.workers import Workers

from ..sizes import ADAMW, CLIP, repeated, sized

NO_DROPOUT = {"embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0}


def prepare(work: str, **settings: Any) -> Callable[[], Any]:
    """A callable that does one repetition of the work."""
    works = {"train": _train, "prefill": _prefill, "decode": _decode}
    return works[work](**settings)


def _train(
    size: Any, threads: int | None = None, dtype: str = "float32", **settings: Any
) -> Callable[[], Any]:
    if threads is not None:
        _threads.set_default(threads)
    values, batch, length = sized(size)
    config = GPT2Config.from_dict({**values, **NO_DROPOUT})
    params = {name: p.astype(dtype) for name, p in init_params(config).items()}
    m = {name: np.zeros_like(p) for name, p in params.items()}
    v = {name: np.zeros_like(p) for name, p in params.items()}
    decays = {name for name, p in params.items() if p.ndim >= 2}
    ids, targets = np.random.default_rng(0).integers(0, config.vocab_size, (2, batch, length))
    # as `npgpt train` does: one process for each shard of a small model's batch
    workers = Workers(choose_shards(config, batch, length) - 1)
    while workers.count and not workers.ready(workers.count, params):
        time.sleep(0.1)
    step = 0

    def one_step() -> None:
        nonlocal step
        step += 1
        _, grads = loss_and_grads(
            params, ids, targets, config, workers=workers, **settings)
        scale = min(1.0, CLIP / (global_norm(grads) + 1e-6))
        adamw_step(params, grads, m, v, step=step, decay_names=decays, grad_scale=scale, **ADAMW)

    return repeated(one_step, size)


def _reader(int8: bool = False) -> tuple[Any, GPT2Config]:
    from npgpt.generation.fast_reader import FastReader
    from npgpt.generation.quantized import quantize

    config = GPT2Config.named("gpt2")
    params: Any = init_params(config)
    if int8:
        params = quantize(params, config)
    return FastReader(params, config, 1, config.n_positions), config


def _prefill(tokens: int) -> Callable[[], Any]:
    reader, config = _reader()
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (1, tokens))

    def once() -> None:
        reader.read([0], ids)
        reader.cut(0, 0)

    return once


def _decode(tokens: int, int8: bool = False) -> Callable[[], Any]:
    reader, config = _reader(int8)
    prompt = np.random.default_rng(0).integers(0, config.vocab_size, (1, 16))

    def once() -> dict[str, int]:
        logits = reader.read([0], prompt)
        for _ in range(tokens - 1):
            logits = reader.read([0], logits[:, -1].argmax(axis=-1)[:, None])
        reader.cut(0, 0)
        return {"per": tokens}

    return once
