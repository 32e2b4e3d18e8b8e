"""PyTorch's side: a GPT-2 of its own layers, at their best on a processor."""

from __future__ import annotations

import os
from typing import Any, Callable

import torch
from torch import nn
from torch.nn import functional as F

from ..sizes import ADAMW, CLIP, SIZES


def versions() -> dict[str, str]:
    """What takes part, and its version."""
    return {"torch": torch.__version__}


class Block(nn.Module):
    """One transformer block."""

    def __init__(self, c: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.c_attn, self.c_proj = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.c_fc, self.mlp_proj = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        parts = self.c_attn(self.ln_1(x)).split(c, dim=2)
        q, k, v = (p.view(b, t, self.heads, c // self.heads).transpose(1, 2) for p in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(mixed.transpose(1, 2).reshape(b, t, c))
        wide = F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh")
        return x + self.mlp_proj(wide)


class GPT(nn.Module):
    """GPT-2 with tied tables."""

    def __init__(self, vocab_size: int, n_positions: int, n_embd: int, n_layer: int, n_head: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(n_positions, n_embd)
        self.blocks = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        for p in self.parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def prepare(work: str, size: str, mode: str = "eager", **settings: Any) -> Callable[[], Any]:
    """A callable that does one repetition of the work; mode is eager, compiled or bf16."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    return {"train": _train}[work](size, mode, **settings)


def _train(size: str, mode: str) -> Callable[[], Any]:
    config, batch, length = SIZES[size]
    model = GPT(**config)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": ADAMW["weight_decay"]},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(
        groups, lr=ADAMW["lr"], betas=ADAMW["betas"], eps=ADAMW["eps"], fused=True
    )
    ids, targets = torch.randint(0, config["vocab_size"], (2, batch, length))
    run = torch.compile(model) if mode == "compiled" else model

    def once() -> float:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bf16"):
            loss = run(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        return loss.item()

    return once
