"""transformers' side of prefill and decode, on the same sizes."""

from __future__ import annotations

import os
from typing import Any, Callable

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def prepare(work: str, tokens: int, mode: str) -> Callable[[], Any]:
    """A callable that does one repetition; mode is eager, compiled or bf16 (weights and all)."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(pad_token_id=0, attn_implementation="sdpa")).eval()
    if mode == "bf16":
        # nothing is trained: bf16 weights beat autocast, which converts them again in every call
        model = model.to(torch.bfloat16)
    settings = {}
    if mode == "compiled":
        model.forward = torch.compile(model.forward)
        # a growing cache would be compiled again at every length
        settings["cache_implementation"] = "static"
    length = tokens if work == "prefill" else 16
    ids = torch.randint(0, 50257, (1, length))

    @torch.inference_mode()
    def prefill() -> None:
        model(ids, use_cache=True, logits_to_keep=1)

    @torch.inference_mode()
    def decode() -> dict[str, int]:
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens,
            min_new_tokens=tokens, do_sample=False, **settings,
        )
        return {"per": tokens}

    return {"prefill": prefill, "decode": decode}[work]
