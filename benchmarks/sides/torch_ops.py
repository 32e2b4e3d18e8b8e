"""PyTorch's ops on the arrays of npgpt_ops.

Where PyTorch has no such op, the formula is written in its tensors and autograd does the rest.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable

import torch
from torch.nn import functional as F

from ..sizes import OP_SHAPES, PENALTY, RATE
from .npgpt_ops import examples


def prepare() -> Callable[[], Any]:
    """A callable that times every op's forward and backward: {op: [seconds, seconds]}."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    chosen = {name: (OPS[name], tensors(name, inputs))
              for name, (_, inputs, _) in examples().items()}

    def once() -> dict[str, list[float]]:
        result = {}
        for name, (run, inputs) in chosen.items():
            started = time.perf_counter()
            out = run(*inputs)
            forward = time.perf_counter() - started
            dout = torch.ones_like(out)
            started = time.perf_counter()
            out.backward(dout)
            result[name] = [forward, time.perf_counter() - started]
            # not while the next op is timed: freeing 200 MB takes longer than many ops
            del out, dout
            for tensor in inputs:
                tensor.grad = None
        return result

    return once


def tensors(name: str, inputs: list[Any]) -> list[Any]:
    """An example's arrays as PyTorch expects them: (out, in) for linear weights, with gradients."""
    made = []
    for i, array in enumerate(inputs):
        # of the linear maps, all inputs but the first are weights and biases
        weight = array.T.copy() if name in _LINEAR and i and array.ndim == 2 else array
        tensor = torch.from_numpy(weight)
        made.append(tensor.requires_grad_() if tensor.is_floating_point() else tensor)
    return made


_LINEAR = ("linear", "feed_forward", "swiglu")


def _feed_forward(x: Any, w: Any, b: Any, w2: Any, b2: Any) -> Any:
    return F.linear(F.gelu(F.linear(x, w, b), approximate="tanh"), w2, b2)


def _swiglu(x: Any, gate: Any, b: Any, up: Any, b2: Any, w: Any, b3: Any) -> Any:
    return F.linear(F.silu(F.linear(x, gate, b)) * F.linear(x, up, b2), w, b3)


def _heads(qkv: Any) -> list[Any]:
    b, n, c = qkv.shape
    h = OP_SHAPES["H"]
    return [part.view(b, n, h, c // 3 // h).transpose(1, 2) for part in qkv.split(c // 3, dim=2)]


def _causal(q: Any, k: Any, v: Any) -> Any:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _attention(qkv: Any) -> Any:
    b, n, c = qkv.shape
    return _causal(*_heads(qkv)).transpose(1, 2).reshape(b, n, c // 3)


def _attention_entropy(qkv: Any) -> Any:
    q, k, _ = _heads(qkv)
    n = q.shape[2]
    ahead = torch.ones(n, n, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-1, -2) / q.shape[-1]**0.5).masked_fill(ahead, -torch.inf)
    logs = torch.log_softmax(scores, dim=-1)
    # weights of 0 have a logarithm of -inf, and add nothing
    row = -(logs.exp() * logs.masked_fill(ahead, 0.0)).sum(dim=-1)
    return row.mean(dim=(0, 2))


def _entropy_penalty(entropy: Any, target: Any) -> Any:
    weight, tolerance, bound = (PENALTY[name] for name in ("weight", "tolerance", "bound"))
    distance = entropy - target * bound
    counted = torch.where(distance.abs() <= tolerance * bound, 0.0, distance)
    return weight * counted.square().sum()


OPS: dict[str, Callable[..., Any]] = {
    "gelu": lambda a: F.gelu(a, approximate="tanh"),
    "gelu_exact": F.gelu,
    "silu": F.silu,
    "relu": F.relu,
    "leaky_relu": F.prelu,
    "softmax": lambda a: F.softmax(a, dim=-1),
    "dropout": lambda a: F.dropout(a, RATE),
    "residual": torch.add,
    "layernorm": lambda a, w, b: F.layer_norm(a, w.shape, w, b),
    "linear": F.linear,
    # what torch.nn.utils.weight_norm calls; a norm for each output
    "weight_norm": lambda v, gain: torch._weight_norm(v, gain[None], 1),
    "low_rank_update": lambda w, a, b: w + 2.0 * a @ b,
    "low_rank": lambda x, a, b: 2.0 * (x @ a) @ b,
    "pad_zeros": lambda a: F.pad(a, (0, 3 * OP_SHAPES["C"] - len(a))),
    "feed_forward": _feed_forward,
    "swiglu": _swiglu,
    "attention": _attention,
    "attention_short": _attention,
    "causal_attention": _causal,
    "attention_entropy": _attention_entropy,
    "entropy_penalty": _entropy_penalty,
    "token_embedding": F.embedding,
    "position_embedding": lambda a, w, at: a + F.embedding(at, w),
    "unembedding": F.linear,
    "cross_entropy": lambda a, at: F.cross_entropy(a[0], at[0]),
    "head_and_loss": lambda a, w, at: F.cross_entropy(F.linear(a, w)[0], at[0]),
}
"""How PyTorch computes each example of npgpt_ops."""
