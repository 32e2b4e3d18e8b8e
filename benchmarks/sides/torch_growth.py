"""PyTorch's side where work grows: a token at a length, and torch.autograd.gradcheck."""

from __future__ import annotations

import os
from typing import Any, Callable

import torch
from torch.nn import functional as F

from .torch_gpt import GPT

# as in npgpt_growth, which is not imported: the process would load npgpt too
TOKENS, ROW = 16, 64


def prepare(work: str, **settings: Any) -> Callable[[], Any]:
    """A callable that does one repetition of the work."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    return {"decode": _decode, "gradcheck": _gradcheck}[work](**settings)


def _decode(config: dict[str, int], length: int) -> Callable[[], Any]:
    model = GPT(**config)
    c, heads = config["n_embd"], config["n_head"]
    stored = torch.randn(config["n_layer"], 2, 1, heads, length, c // heads)
    ids = torch.randint(0, config["vocab_size"], (length,))

    @torch.inference_mode()
    def read(at: int) -> torch.Tensor:
        x = model.wte(ids[at:at + 1])[None] + model.wpe.weight[at]          # (1, 1, C)
        for block, keys_values in zip(model.blocks, stored):
            parts = block.c_attn(block.ln_1(x)).split(c, dim=2)
            q, k, v = (part.view(1, 1, heads, c // heads).transpose(1, 2) for part in parts)
            keys_values[0, :, :, at:at + 1], keys_values[1, :, :, at:at + 1] = k, v
            seen = keys_values[:, :, :, :at + 1]
            mixed = F.scaled_dot_product_attention(q, seen[0], seen[1])
            x = x + block.c_proj(mixed.transpose(1, 2).reshape(1, 1, c))
            x = x + block.mlp_proj(F.gelu(block.c_fc(block.ln_2(x)), approximate="tanh"))
        return F.linear(model.ln_f(x), model.wte.weight)

    def once() -> dict[str, int]:
        for i in range(TOKENS):
            read(length - TOKENS + i)
        return {"per": TOKENS}

    return once


def _gradcheck(elements: int, fast: bool) -> Callable[[], Any]:
    inputs = [torch.randn(*shape, dtype=torch.float64, requires_grad=True)
              for shape in ((elements // ROW, ROW), (ROW,), (ROW,))]

    def once() -> None:
        torch.autograd.gradcheck(
            lambda x, w, b: F.layer_norm(x, (ROW,), w, b), inputs, fast_mode=fast)

    return once
