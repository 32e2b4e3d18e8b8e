"""PyTorch's side of writing and evaluating, with the model of its training step."""

from __future__ import annotations

import os
from typing import Any, Callable

import torch
from torch.nn import functional as F

from ..sizes import BATCHES, SIZES, WRITTEN
from .torch_gpt import GPT


def prepare(work: str, size: str) -> Callable[[], Any]:
    """A callable that does one repetition of the work."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    config, batch, length = SIZES[size]
    model = GPT(**config)
    if work == "generate":
        return lambda: _generate(model, config["n_positions"])
    draws = torch.randint(0, config["vocab_size"], (BATCHES, 2, batch, length))
    return lambda: _evaluate(model, draws)


@torch.inference_mode()
def _generate(model: GPT, context: int) -> dict[str, int]:
    """As nanoGPT writes: the last `context` tokens are read for every new one."""
    ids = torch.zeros(1, 1, dtype=torch.long)
    for _ in range(WRITTEN):
        window = ids[:, -context:]
        x = model.wte(window) + model.wpe(torch.arange(window.shape[1]))
        for block in model.blocks:
            x = block(x)
        logits = F.linear(model.ln_f(x[:, -1]), model.wte.weight)
        ids = torch.cat([ids, torch.multinomial(logits.softmax(-1), 1)], dim=1)
    return {"per": WRITTEN}


@torch.inference_mode()
def _evaluate(model: GPT, draws: torch.Tensor) -> dict[str, int]:
    for ids, targets in draws:
        float(model(ids, targets))
    return {"per": BATCHES}
