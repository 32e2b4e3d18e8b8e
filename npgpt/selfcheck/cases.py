"""One table of examples: inputs for every op, and small whole models, for whoever examines them.

    for case in cases():
        op = ops.named()[case.op_name]
        check(op.forward, op.backward, *case.inputs, **case.settings)

The sizes are all different, so that a mixed-up axis cannot fit by chance; the values are of unit
scale; tokens repeat; arrays come in the dtype asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..config import ACTIVATIONS, GPT2Config
from ..layers.cross_entropy import IGNORE
from ..tape import Array

# time, keys with a past, channels, heads, head size, wide channels, vocabulary, positions
T, S, C, H, D, F, V, P = 3, 5, 8, 4, 2, 12, 7, 9


@dataclass(frozen=True)
class FixedUniform:
    """A random source that starts anew at every draw, so that every forward sees one stream."""

    seed: int = 0

    def random(self, size: int | tuple[int, ...]) -> Array:
        """Draw uniform values in [0, 1): for one shape always the same."""
        return np.random.default_rng(self.seed).random(size)


@dataclass(frozen=True, eq=False)
class Case:
    """One call of an op: op(*inputs, **settings). An input may be None (a bias left out)."""

    op_name: str
    inputs: tuple[Array | None, ...]
    settings: dict[str, object] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True, eq=False)
class ModelCase:
    """One small model's config, with ids and targets (B, T)."""

    label: str
    config: GPT2Config
    ids: Array
    targets: Array
    only: str = ""
    """Parameters with this in their names have a gradient; the others are frozen."""


class _Table:
    """Draws inputs and collects the cases."""

    def __init__(self, seed: int, dtype: DTypeLike) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.cases: list[Case] = []

    def add(self, op_name: str, *inputs: Array | None, how: str = "", **settings: object) -> None:
        label = f"{op_name}, {how}" if how else op_name
        self.cases.append(Case(op_name, inputs, settings, label))

    def normal(self, *shape: int) -> Array:
        return self.rng.standard_normal(shape).astype(self.dtype)

    def off_zero(self, *shape: int) -> Array:
        """Normal values without those within 0.1 of 0, where a ReLU has its kink."""
        x = self.normal(*shape)
        return np.where(x < 0, x - 0.1, x + 0.1).astype(self.dtype)

    def ids(self, *shape: int, below: int = V) -> Array:
        """Integers of which at least two are the same, where there are two."""
        ids = self.rng.integers(0, below, shape)
        ids[..., -1] = ids[..., 0]
        return ids


def cases(seed: int = 0, dtype: DTypeLike = np.float64, batch: int = 2) -> list[Case]:
    """Examples for every op of `ops.named()`, each with a label of its own.

    They cover every activation, biases given and left out, dropout on and off, targets that are
    ignored, and queries with a past (fewer than keys). `batch` may be 0 or 1 too.
    """
    table, b = _Table(seed, dtype), batch

    # elementwise
    for name in ("softmax", "gelu", "gelu_exact", "silu", "identity"):
        table.add(name, table.normal(b, T, C))
    table.add("gelu_exact", 4.0 * table.normal(b, T, C), how="far from 0")
    table.add("relu", table.off_zero(b, T, C))
    table.add("leaky_relu", table.off_zero(b, T, C), np.array([0.3], table.dtype))
    table.add("residual", table.normal(b, T, C), table.normal(b, T, C))
    table.add("dropout", table.normal(b, T, C), rate=0.25, rng=FixedUniform(1))
    table.add("dropout", table.normal(b, T, C), rate=0.0, how="rate 0")

    # linear maps
    table.add("layernorm", table.normal(b, T, C), table.normal(C), table.normal(C))
    table.add("layernorm", table.normal(b, T, C), table.normal(C), table.normal(C), eps=0.5,
              how="large eps")
    table.add("linear", table.normal(b, T, C), table.normal(C, F), table.normal(F))
    table.add("linear", table.normal(b, T, C), table.normal(C, F), None, how="no bias")
    table.add("unembedding", table.normal(b, T, C), table.normal(V, C))
    table.add("weight_norm", table.normal(C, F), table.normal(F))
    table.add("low_rank_update", table.normal(C, F), table.normal(C, 2), table.normal(2, F),
              scale=0.7)
    table.add("low_rank", table.normal(b, T, C), table.normal(C, 2), table.normal(2, F), scale=0.7)
    table.add("pad_zeros", table.normal(C), size=F)

    # embeddings
    table.add("token_embedding", table.ids(b, T), table.normal(V, C))
    table.add("position_embedding", table.normal(b, T, C), table.normal(P, C), np.arange(T))
    table.add("position_embedding", table.normal(b, T, C), table.normal(P, C),
              table.ids(b, T, below=P), how="rows differ")

    # attention
    def qkv(keys: int) -> tuple[Array, Array, Array]:
        return (table.normal(b, H, T, D), table.normal(b, H, keys, D), table.normal(b, H, keys, D))

    table.add("causal_attention", *qkv(T))
    table.add("causal_attention", *qkv(T), rate=0.25, rng=FixedUniform(2), how="dropout")
    table.add("causal_attention", *qkv(S), how="with a past")
    table.add("causal_attention", *qkv(S), rate=0.25, rng=FixedUniform(3),
              how="past and dropout")
    table.add("multi_head_attention", table.normal(b, T, 3 * C), n_head=H)
    table.add("multi_head_attention", table.normal(b, T, 3 * C), n_head=1, how="one head")
    table.add("multi_head_attention", table.normal(b, T, 3 * C), n_head=H, rate=0.25,
              rng=FixedUniform(4), how="dropout")
    table.add("attention_entropy", table.normal(b, T, 3 * C), n_head=H)
    table.add("attention_entropy", 5.0 * table.normal(b, T, 3 * C), n_head=1, how="one sharp head")
    # distances of -0.4 (it costs), 0.1 (it does not), 0.9 and -1.2
    table.add("entropy_penalty", np.array([0.2, 0.7, 1.5, 0.1], table.dtype),
              np.array([0.3, 0.3, 0.3, 0.65], table.dtype), weight=0.7, tolerance=0.1, bound=2.0)

    # losses
    def some_ignored(ignore: int) -> Array:
        targets = table.ids(b, T)
        targets[..., 1] = ignore
        return targets

    table.add("cross_entropy", table.normal(b, T, V), table.ids(b, T))
    table.add("cross_entropy", table.normal(b, T, V), some_ignored(IGNORE), how="ignored")
    table.add("cross_entropy", table.normal(b, T, V), some_ignored(0), ignore_index=0,
              how="0 ignored")
    table.add("linear_cross_entropy", table.normal(b, T, C), table.normal(V, C), table.ids(b, T))
    table.add("linear_cross_entropy", table.normal(b, T, C), table.normal(V, C),
              some_ignored(IGNORE), how="ignored")

    # feed-forward networks
    def arrays(bias: bool = True, maps_in: int = 1) -> list[Array | None]:
        # weights of scale 1/sqrt(inputs) keep what they make at unit scale
        given: list[Array | None] = [table.normal(b, T, C)]
        for _ in range(maps_in):
            given += [table.normal(C, F) * C**-0.5, table.normal(F) if bias else None]
        return given + [table.normal(F, C) * F**-0.5, table.normal(C) if bias else None]

    for activation in ACTIVATIONS:
        if activation == "swiglu":
            continue
        slope = [np.array([0.3], table.dtype)] if activation == "leaky_relu" else []
        table.add("feed_forward", *arrays(), *slope, activation=activation, how=activation)
    table.add("feed_forward", *arrays(bias=False), how="no bias")
    table.add("swiglu", *arrays(maps_in=2))
    table.add("swiglu", *arrays(bias=False, maps_in=2), how="no bias")
    table.add("scale_queries", table.normal(b, T, 3 * C), factor=0.3)
    return table.cases


def model_cases(seed: int = 0) -> list[ModelCase]:
    """Small whole models: tied and untied, each activation, with and without norms and biases.

    They cover every variant of GPT2Config; those with a penalty are for `model.training_loss`.
    Tokens repeat, and one target is ignored.
    """
    base = {"vocab_size": V, "n_positions": S, "n_embd": C, "n_layer": 1, "n_head": H, "n_inner": F}
    # two blocks of half the width take the checker no longer than one block of the whole
    narrow = {"n_layer": 2, "n_embd": C // 2, "n_head": H // 2, "n_inner": F // 2}
    leaky = {"activation_function": "leaky_relu"}
    variants: list[tuple[str, dict[str, Any]]] = [
        ("GPT-2, tied, 2 blocks", {"n_layer": 2, "n_inner": None}),
        ("GPT-2, untied", {"tie_word_embeddings": False, "n_inner": None}),
        *((f"GPT-2, {activation}", {"activation_function": activation})
          for activation in ACTIVATIONS if activation != "gelu_new"),
        ("GPT-2, no norm in blocks", {"norm": "none"}),
        ("GPT-2, no norm at all", {"norm": "none", "final_norm": False}),
        ("GPT-2, no final norm", {"final_norm": False}),
        ("GPT-2, no residual connections", {"residual": False, **narrow}),
        ("GPT-2, no qkv bias", {"qkv_bias": False}),
        ("GPT-2, frozen biases", {"frozen_biases": True}),
        ("GPT-2, weight norm", {"weight_norm": True}),
        ("GPT-2, low-rank updates", {"lora_rank": 2, "lora_alpha": 3.0}),
        ("GPT-2, weight norm, swiglu, frozen",
         {"weight_norm": True, "activation_function": "swiglu", "frozen_biases": True}),
        ("GPT-2, one slope for 2 blocks", {**leaky, "leaky_slope": "shared", **narrow}),
        ("GPT-2, fixed slope", {**leaky, "leaky_slope": "fixed", "slope_init": 0.3}),
        ("GPT-2, entropy penalty, no norm",
         {"entropy_penalty": 0.5, "entropy_tolerance": 0.1, "norm": "none", **narrow}),
        ("GPT-2, other attention scales",
         {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True, **narrow}),
    ]
    lora = {"lora_rank": 2, "lora_alpha": 3.0}
    frozen: list[tuple[str, dict[str, Any], str]] = [
        ("GPT-2, updates alone, 2 blocks", {**lora, **narrow}, ".lora_"),
        ("GPT-2, updates of c_attn, c_proj",
         {**lora, "lora_on": "c_attn,attn.c_proj", "tie_word_embeddings": False}, ".lora_"),
        ("GPT-2, updates alone, leaky_relu", {**lora, **leaky}, ".lora_"),
        ("GPT-2, updates, swiglu, no norm",
         {**lora, "activation_function": "swiglu", "norm": "none"}, ".lora_"),
        ("GPT-2, last of 2 blocks alone", narrow, "h.1."),
    ]
    table = _Table(seed, np.float64)
    result = []
    for label, changes, only in [*((label, changes, "") for label, changes in variants), *frozen]:
        targets = table.ids(2, T)
        targets[0, 1] = IGNORE
        config = GPT2Config.from_dict({**base, **changes})
        result.append(ModelCase(label, config, table.ids(2, T), targets, only))
    return result
