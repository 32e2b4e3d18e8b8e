"""One forward and backward pass with every intermediate by name, in the order of execution.

The textbook's composite layers are taken apart, so that the activation between two matrices has a
name too. Per block:

    h.0.ln_1    h.0.attn.c_attn    h.0.attn.{q,k,v} (B, H, T, D)    h.0.attn.weights (B, H, T, T)
    h.0.attn.mixed    h.0.attn.c_proj    h.0.residual_1
    h.0.ln_2    h.0.mlp.c_fc    h.0.mlp.act    h.0.mlp.c_proj    h.0.residual_2

before them embedding.token and embedding.sum, after them ln_f, logits and loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import model, ops
from ..config import GPT2Config
from ..layers.attention import causal_attention_forward, split_heads, split_qkv
from ..params import Params
from ..tape import Array, Entry, Tape

_ACTIVATION_OPS = {
    "gelu_new": ops.gelu, "gelu": ops.gelu_exact, "relu": ops.relu, "silu": ops.silu,
    "leaky_relu": ops.leaky_relu,
}


@dataclass
class Trace:
    """What one pass computed. Names of activations stand in the order of execution."""

    activations: Params
    dactivations: Params
    """Gradient of the loss for the activations, from the loss back."""
    grads: Params
    """Gradient for each parameter, in the order in which the backward pass completes them."""


def trace(params: Params, ids: Array, targets: Array, config: GPT2Config) -> Trace:
    """Run ids and targets (B, T) forward and backward with the textbook's layers."""
    tape = Tape()
    watched = tape.watch(params)
    loss = model.loss(watched, ids, targets, config, ops=_APART)
    parameter = {id(var): name for name, var in watched.items()}
    names = _names(tape.entries, parameter)
    activations: Params = {}
    for entry, name in zip(tape.entries, names):
        if name.endswith("attn.mixed"):
            activations |= _inside_attention(name.removesuffix("mixed"), entry)
        activations[name] = entry.out.value

    name_of = {id(entry.out): name for entry, name in zip(tape.entries, names)}
    dactivations: Params = {}
    order: list[str] = []

    def visit(entry: Entry, dout: Array, dinputs: tuple[Any, ...]) -> None:
        dactivations[name_of[id(entry.out)]] = dout
        for var in entry.inputs:
            if id(var) in parameter:
                # a table used at both ends is complete at the second use
                name = parameter[id(var)]
                order[:] = [n for n in order if n != name] + [name]

    grads = tape.backward(loss, visit=visit)
    return Trace(activations, dactivations, {name: grads[watched[name]] for name in order})


def _feed_forward(
    x: Any, fc_weight: Any, fc_bias: Any, proj_weight: Any, proj_bias: Any, *slope: Any,
    activation: str,
) -> Any:
    wide = ops.linear(x, fc_weight, fc_bias)
    bent = _ACTIVATION_OPS[activation](wide, *slope)
    return ops.linear(bent, proj_weight, proj_bias)


def _linear_cross_entropy(x: Any, weight: Any, targets: Array) -> Any:
    return ops.cross_entropy(ops.unembedding(x, weight), targets)


_APART = SimpleNamespace(**ops.ALL)
_APART.feed_forward = _feed_forward
_APART.linear_cross_entropy = _linear_cross_entropy


def _names(entries: list[Entry], parameter: dict[int, str]) -> list[str]:
    """A name for every entry: that of its parameters, or of its place in the block."""
    fixed = {"token_embedding": "embedding.token", "position_embedding": "embedding.sum",
             "unembedding": "logits", "cross_entropy": "loss"}
    names: list[str] = []
    layer, residuals = 0, 0
    for entry in entries:
        own = [parameter[id(var)] for var in entry.inputs if id(var) in parameter]
        op = entry.op.name
        if op in fixed:
            names.append(fixed[op])
        elif op == "multi_head_attention":
            names.append(f"h.{layer}.attn.mixed")
        elif op == "residual":
            names.append(f"h.{layer}.residual_{1 + residuals % 2}")
            residuals += 1
            layer = residuals // 2
        elif op in ("layernorm", "linear"):
            names.append(own[0].rpartition(".")[0])
        elif op == "swiglu":
            names.append(f"h.{layer}.mlp")
        else:
            names.append(f"h.{layer}.mlp.act")
    return names


def _inside_attention(prefix: str, entry: Entry) -> Params:
    n_head = entry.settings["n_head"]
    q, k, v = (split_heads(part, n_head) for part in split_qkv(entry.inputs[0].value))
    # attending over the unit vectors gives back the weights themselves
    units = np.broadcast_to(np.eye(k.shape[-2], dtype=k.dtype), (*k.shape[:-2], *[k.shape[-2]] * 2))
    weights, _ = causal_attention_forward(q, k, units)
    return {f"{prefix}q": q, f"{prefix}k": k, f"{prefix}v": v, f"{prefix}weights": weights}
