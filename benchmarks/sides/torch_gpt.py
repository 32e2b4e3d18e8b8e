"""PyTorch's training step: a GPT-2 of its own layers, as quick as they get on a CPU."""

from __future__ import annotations

import os
from typing import Any, Callable

import torch
from torch import nn
from torch.nn import functional as F

from ..sizes import ADAMW, CLIP, repeated, sized


class Block(nn.Module):
    """One transformer block."""

    def __init__(self, c: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.c_attn, self.c_proj = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.c_fc, self.mlp_proj = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, T, C)."""
        b, t, c = x.shape
        parts = self.c_attn(self.ln_1(x)).split(c, dim=2)
        q, k, v = (p.view(b, t, self.heads, c // self.heads).transpose(1, 2) for p in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(mixed.transpose(1, 2).reshape(b, t, c))
        hidden = F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh")
        return x + self.mlp_proj(hidden)


class GPT(nn.Module):
    """GPT-2 with tied tables; its loss."""

    def __init__(
        self, vocab_size: int, n_positions: int, n_embd: int, n_layer: int, n_head: int
    ) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(n_positions, n_embd)
        self.blocks = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        for name, p in self.named_parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=0.02 / ((2 * n_layer) ** 0.5 if "proj" in name else 1.0))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of targets (B, T)."""
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def fused_adamw(model: nn.Module, **settings: Any) -> torch.optim.Optimizer:
    """PyTorch's quickest AdamW, with GPT-2's decay groups."""
    decay = settings.pop("weight_decay")
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True, **settings)


def prepare(
    work: str, size: Any, mode: str = "eager", threads: int | None = None
) -> Callable[[], Any]:
    """A callable that does one training step; mode is eager, compiled or bf16."""
    if work != "train":
        raise ValueError(f"unknown work {work!r}; expected 'train'")
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    config, batch, length = sized(size)
    model = GPT(**config)
    optimiser = fused_adamw(model, **ADAMW)
    ids, targets = torch.randint(0, config["vocab_size"], (2, batch, length))
    run = torch.compile(model) if mode == "compiled" else model

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bf16"):
            loss = run(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()

    return repeated(step, size)
