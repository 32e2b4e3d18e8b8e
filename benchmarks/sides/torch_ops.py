"""PyTorch's ops on the same shapes as npgpt_ops."""

from __future__ import annotations

import os
import time
from typing import Any, Callable

import torch
from torch.nn import functional as F

from ..sizes import OP_SHAPES


def prepare() -> Callable[[], Any]:
    """A callable that times every op's forward and backward: {op: [seconds, seconds]}."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    examples = _examples()

    def once() -> dict[str, list[float]]:
        result = {}
        for name, (run, inputs) in examples.items():
            for tensor in inputs:
                tensor.grad = None
            started = time.perf_counter()
            out = run(*inputs)
            forward = time.perf_counter() - started
            dout = torch.ones_like(out)
            started = time.perf_counter()
            out.backward(dout)
            result[name] = [forward, time.perf_counter() - started]
        return result

    return once


def _examples() -> dict[str, tuple[Any, list[torch.Tensor]]]:
    t, c, f, v, h = (OP_SHAPES[name] for name in ("T", "C", "F", "V", "H"))

    def leaf(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return (torch.randn(*shape) * scale).requires_grad_()

    ids, targets = torch.randint(0, v, (2, 1, t))

    def feed_forward(x: Any, w: Any, b: Any, w2: Any, b2: Any) -> Any:
        return F.linear(F.gelu(F.linear(x, w, b), approximate="tanh"), w2, b2)

    def attention(qkv: Any) -> Any:
        b, n, _ = qkv.shape
        q, k, v = (p.view(b, n, h, c // h).transpose(1, 2) for p in qkv.split(c, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return mixed.transpose(1, 2).reshape(b, n, c)

    x, wide = leaf(1, t, c), leaf(1, t, f)
    return {
        "gelu": (lambda a: F.gelu(a, approximate="tanh"), [wide]),
        "gelu_exact": (F.gelu, [wide]),
        "silu": (F.silu, [wide]),
        "layernorm": (lambda a, w, b: F.layer_norm(a, (c,), w, b), [x, leaf(c), leaf(c)]),
        "linear": (F.linear, [x, leaf(3 * c, c, scale=0.02), leaf(3 * c)]),
        "feed_forward": (
            feed_forward,
            [x, leaf(f, c, scale=0.02), leaf(f), leaf(c, f, scale=0.02), leaf(c)],
        ),
        "attention": (attention, [leaf(1, t, 3 * c)]),
        "attention_short": (attention, [leaf(16, t // 16, 3 * c)]),
        "head_and_loss": (
            lambda a, w: F.cross_entropy(F.linear(a, w)[0], targets[0]),
            [x, leaf(v, c, scale=0.02)],
        ),
        "embedding": (lambda w: F.embedding(ids, w), [leaf(v, c)]),
    }
