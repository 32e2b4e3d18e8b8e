"""GPT-2's forward pass: functions over a flat dict of parameters, handed the ops they use.

    x = token embedding + position embedding
    for every block:   x = x + attention(norm(x))
                       x = x + feed_forward(norm(x))
    logits = norm(x) @ token embedding.T

With plain arrays the functions compute, with Vars from `tape.watch(params)` they are also recorded.
"""

from __future__ import annotations

from functools import reduce
from typing import Callable, Mapping

import numpy as np

from .config import GPT2Config
from .layers.contract import UniformSource
from .ops import TEXTBOOK, Ops
from .tape import Array, V
from .variants import joined, linear, plain, with_entropy_penalty


def hidden(
    params: Mapping[str, V],
    ids: Array,
    config: GPT2Config,
    *,
    ops: Ops = TEXTBOOK, rng: UniformSource | None = None,
    attend: Callable[[int, V], V] | None = None,
    positions: Array | None = None,
    run_block: Callable[..., V] | None = None,
) -> V:
    """The last channels (B, T, C), after the final norm, from ids (B, T); dropout with an `rng`.

    `attend` maps (layer, qkv) to the mixed values: by default attention over ids alone; a KV cache
    is another such function. `positions` (T,) or (B, T) defaults to 0 .. T-1; `run_block` to
    `block`, whose signature a stand-in has too. Raises ValueError for ids or positions outside
    their tables and for shapes that do not match, KeyError for a parameter that is missing.
    """
    params = plain(params, config, ops)
    attend = attend or full_attention(config, ops=ops, rng=rng)
    positions = np.arange(ids.shape[-1]) if positions is None else positions
    x = ops.token_embedding(ids, params["wte.weight"])                          # (B, T, C)
    x = ops.position_embedding(x, params["wpe.weight"], positions)
    x = _dropout(x, config.embd_pdrop, ops, rng)
    for layer in range(config.n_layer):
        x = (run_block or block)(params, layer, x, config, ops=ops, rng=rng, attend=attend)
    return _norm(params, "ln_f", x, config, ops) if config.final_norm else x


def block(
    params: Mapping[str, V],
    layer: int,
    x: V,
    config: GPT2Config,
    *,
    ops: Ops = TEXTBOOK, rng: UniformSource | None = None,
    attend: Callable[[int, V], V],
) -> V:
    """x (B, T, C) plus what attention, then the feed-forward, add to it; raises as `hidden`."""
    h = f"h.{layer}"
    normed = _norm(params, f"{h}.ln_1", x, config, ops) if config.block_norm else x
    qkv = linear(params, f"{h}.attn.c_attn", normed, config, ops)               # (B, T, 3C)
    if (factor := config.query_scale(layer)) != 1.0:
        qkv = ops.scale_queries(qkv, factor=factor)
    mixed = attend(layer, qkv)                                                  # (B, T, C)
    branch = linear(params, f"{h}.attn.c_proj", mixed, config, ops)
    x = joined(x, _dropout(branch, config.resid_pdrop, ops, rng), config, ops)

    normed = _norm(params, f"{h}.ln_2", x, config, ops) if config.block_norm else x
    branch = _feed_forward(params, f"{h}.mlp", normed, config, ops)
    return joined(x, _dropout(branch, config.resid_pdrop, ops, rng), config, ops)


def full_attention(
    config: GPT2Config, *, ops: Ops = TEXTBOOK, rng: UniformSource | None = None
) -> Callable[[int, V], V]:
    """Attention over the given positions alone: what training uses, and inference uncached."""
    def attend(layer: int, qkv: V) -> V:
        rate = config.attn_pdrop if rng is not None else 0.0
        return ops.multi_head_attention(qkv, n_head=config.n_head, rate=rate, rng=rng)

    return attend


def head_weight(params: Mapping[str, V], config: GPT2Config) -> V:
    """The output matrix (V, C): the token table, lm_head.weight when untied, or a classifier's."""
    return params["score.weight" if config.n_labels else
                  "wte.weight" if config.tie_word_embeddings else "lm_head.weight"]


def logits(
    params: Mapping[str, V], ids: Array, config: GPT2Config, *,
    ops: Ops = TEXTBOOK, rng: UniformSource | None = None,
) -> V:
    """Scores of the next token (B, T, V) from ids (B, T); raises as `hidden`."""
    x = hidden(params, ids, config, ops=ops, rng=rng)
    return ops.unembedding(x, head_weight(params, config))


def loss(
    params: Mapping[str, V], ids: Array, targets: Array, config: GPT2Config, *,
    ops: Ops = TEXTBOOK, rng: UniformSource | None = None,
    attend: Callable[[int, V], V] | None = None, run_block: Callable[..., V] | None = None,
) -> V:
    """Mean cross-entropy () in nats of targets (B, T), -100 not counted; raises as `hidden`."""
    x = hidden(params, ids, config, ops=ops, rng=rng, attend=attend, run_block=run_block)
    return ops.linear_cross_entropy(x, head_weight(params, config), targets)


def training_loss(
    params: Mapping[str, V], ids: Array, targets: Array, config: GPT2Config, *,
    ops: Ops = TEXTBOOK, rng: UniformSource | None = None,
    run_block: Callable[..., V] | None = None,
) -> V:
    """What training minimises: `loss`, plus the config's entropy penalty if it has one.

    Raises ValueError for an entropy penalty together with a `run_block`.
    """
    if not config.entropy.penalty:
        return loss(params, ids, targets, config, ops=ops, rng=rng, run_block=run_block)
    if run_block is not None:
        raise ValueError("entropy_penalty needs the attention of every layer at once, which "
                         "activation checkpointing (recompute) does not save; switch one off")
    penalties: list[V] = []
    attend = with_entropy_penalty(
        full_attention(config, ops=ops, rng=rng), penalties, params, config, ops, ids.shape[1])
    total = loss(params, ids, targets, config, ops=ops, rng=rng, attend=attend)
    return reduce(ops.residual, penalties, total)


def _norm(params: Mapping[str, V], name: str, x: V, config: GPT2Config, ops: Ops) -> V:
    return ops.layernorm(x, *_weight_and_bias(params, name), eps=config.layer_norm_epsilon)


def _weight_and_bias(params: Mapping[str, V], name: str) -> tuple[V, V | None]:
    return params[f"{name}.weight"], params.get(f"{name}.bias")


def _feed_forward(params: Mapping[str, V], name: str, x: V, config: GPT2Config, ops: Ops) -> V:
    activation = config.activation_function
    fc, proj = (_weight_and_bias(params, f"{name}.{part}") for part in ("c_fc", "c_proj"))
    if activation == "swiglu":
        return ops.swiglu(x, *_weight_and_bias(params, f"{name}.c_gate"), *fc, *proj)
    slope = (params[f"{name}.act.slope"],) if activation == "leaky_relu" else ()
    if f"{name}.c_fc.lora_A" in params or f"{name}.c_proj.lora_A" in params:
        x = linear(params, f"{name}.c_fc", x, config, ops)                      # (B, T, F)
        x = ops.activation(activation)(x, *slope)
        return linear(params, f"{name}.c_proj", x, config, ops)
    return ops.feed_forward(x, *fc, *proj, *slope, activation=activation)


def _dropout(x: V, rate: float, ops: Ops, rng: UniformSource | None) -> V:
    return x if rng is None or rate == 0.0 else ops.dropout(x, rate=rate, rng=rng)
