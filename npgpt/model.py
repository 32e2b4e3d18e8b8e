"""GPT-2's forward pass: functions over a flat dict of parameters, handed the ops they use.

    x = token embedding + position embedding
    for every block:   x = x + attention(norm(x))
                       x = x + feed_forward(norm(x))
    logits = norm(x) @ token embedding.T

The functions are the same for training and inference: with plain arrays they compute, with Vars
from `tape.watch(params)` they are also recorded. Dropout happens where an `rng` is passed.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np

from .config import GPT2Config
from .layers.attention_entropy import causal_bound
from .layers.contract import UniformSource
from .ops import TEXTBOOK, Ops
from .tape import Array, Var

SHARED_SLOPE = "mlp.act.slope"
# (layer, qkv) -> mixed values; a KV cache is another such function
Attend = Callable[[int, Any], Any]


def hidden(
    params: Mapping[str, Any],
    ids: Array,
    config: GPT2Config,
    *,
    ops: Ops = TEXTBOOK,
    rng: UniformSource | None = None,
    attend: Attend | None = None,
    positions: Array | None = None,
    run_block: Callable[..., Any] | None = None,
) -> Any:
    """The last channels (B, T, C), after the final norm, from ids (B, T).

    `positions` (T,) or (B, T) defaults to 0 .. T-1; `attend` to causal attention over ids alone;
    `run_block` to `block`, whose signature a stand-in has too.
    """
    if attend is None:
        attend = full_attention(config, ops=ops, rng=rng)
    if positions is None:
        positions = np.arange(ids.shape[-1])
    x = ops.token_embedding(ids, params["wte.weight"])                          # (B, T, C)
    x = ops.position_embedding(x, params["wpe.weight"], positions)
    x = _dropout(x, config.embd_pdrop, ops, rng)
    for layer in range(config.n_layer):
        x = (run_block or block)(params, layer, x, config, ops=ops, rng=rng, attend=attend)
    if config.final_norm:
        x = _norm(params, "ln_f", x, config, ops)
    return x


def block(
    params: Mapping[str, Any],
    layer: int,
    x: Any,
    config: GPT2Config,
    *,
    ops: Ops = TEXTBOOK,
    rng: UniformSource | None = None,
    attend: Attend,
) -> Any:
    """One transformer block: x (B, T, C) plus what attention, then the feed-forward, add to it."""
    h = f"h.{layer}"
    normed = _norm(params, f"{h}.ln_1", x, config, ops) if config.block_norm else x
    qkv = _linear(params, f"{h}.attn.c_attn", normed, ops)                      # (B, T, 3C)
    mixed = attend(layer, qkv)                                                  # (B, T, C)
    branch = _linear(params, f"{h}.attn.c_proj", mixed, ops)
    x = ops.residual(x, _dropout(branch, config.resid_pdrop, ops, rng))

    normed = _norm(params, f"{h}.ln_2", x, config, ops) if config.block_norm else x
    branch = _feed_forward(params, f"{h}.mlp", normed, config, ops)
    return ops.residual(x, _dropout(branch, config.resid_pdrop, ops, rng))


def full_attention(
    config: GPT2Config, *, ops: Ops = TEXTBOOK, rng: UniformSource | None = None
) -> Attend:
    """Attention over the given positions alone: what training uses, and inference uncached."""
    rate = config.attn_pdrop if rng is not None else 0.0

    def attend(layer: int, qkv: Any) -> Any:
        return ops.multi_head_attention(qkv, n_head=config.n_head, rate=rate, rng=rng)

    return attend


def of_block(params: Mapping[str, Any], layer: int) -> list[str]:
    """The names of the parameters that one block reads."""
    return [name for name in params if name.startswith(f"h.{layer}.") or name == SHARED_SLOPE]


def head_weight(params: Mapping[str, Any], config: GPT2Config) -> Any:
    """The output matrix (V, C): the token table, or lm_head.weight when untied."""
    return params["wte.weight" if config.tie_word_embeddings else "lm_head.weight"]


def logits(params: Mapping[str, Any], ids: Array, config: GPT2Config, **settings: Any) -> Any:
    """Scores of the next token (B, T, V); settings as for `hidden`."""
    ops = settings.get("ops", TEXTBOOK)
    return ops.unembedding(hidden(params, ids, config, **settings), head_weight(params, config))


def loss(
    params: Mapping[str, Any], ids: Array, targets: Array, config: GPT2Config, **settings: Any
) -> Any:
    """Mean cross-entropy () in nats of targets (B, T); a target of -100 is not counted."""
    ops = settings.get("ops", TEXTBOOK)
    x = hidden(params, ids, config, **settings)
    return ops.linear_cross_entropy(x, head_weight(params, config), targets)


def training_loss(
    params: Mapping[str, Any], ids: Array, targets: Array, config: GPT2Config, *,
    ops: Ops = TEXTBOOK, rng: UniformSource | None = None, **settings: Any
) -> Any:
    """What training minimises: `loss`, plus the config's entropy penalty if it has one.

    The entropy is attention's before dropout, over all positions of the batch, targets or not.
    """
    if not config.entropy_penalty:
        return loss(params, ids, targets, config, ops=ops, rng=rng, **settings)
    if settings.get("run_block") is not None:
        raise ValueError("entropy_penalty needs the attention of every layer at once, which "
                         "recompute does not keep; switch one of them off")
    attend = full_attention(config, ops=ops, rng=rng)
    penalties: list[Any] = []

    def attend_and_tax(layer: int, qkv: Any) -> Any:
        penalties.append(ops.entropy_penalty(
            ops.attention_entropy(qkv, n_head=config.n_head),                   # (H,)
            params[f"h.{layer}.attn.entropy_target"],
            weight=config.entropy_penalty / (config.n_layer * config.n_head),
            tolerance=config.entropy_tolerance, bound=causal_bound(ids.shape[1]),
        ))
        return attend(layer, qkv)

    total = loss(params, ids, targets, config, ops=ops, rng=rng, attend=attend_and_tax, **settings)
    for penalty in penalties:
        total = ops.residual(total, penalty)
    return total


def _norm(params: Mapping[str, Any], name: str, x: Any, config: GPT2Config, ops: Ops) -> Any:
    weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
    return ops.layernorm(x, weight, bias, eps=config.layer_norm_epsilon)


def _linear(params: Mapping[str, Any], name: str, x: Any, ops: Ops) -> Any:
    return ops.linear(x, *_weight_and_bias(params, name, ops))


def _weight_and_bias(params: Mapping[str, Any], name: str, ops: Ops) -> tuple[Any, Any]:
    weight, gain = params[f"{name}.weight"], params.get(f"{name}.gain")
    bias, width = params.get(f"{name}.bias"), weight.shape[1]
    if gain is not None:
        weight = ops.weight_norm(weight, gain)
    if bias is not None and bias.shape != (width,):
        # biases frozen at zero are not among the parameters
        bias = ops.pad_zeros(bias, size=width)
    return weight, bias


def _feed_forward(
    params: Mapping[str, Any], name: str, x: Any, config: GPT2Config, ops: Ops
) -> Any:
    def pair(part: str) -> tuple[Any, Any]:
        return _weight_and_bias(params, f"{name}.{part}", ops)

    activation = config.activation_function
    if activation == "swiglu":
        return ops.swiglu(x, *pair("c_gate"), *pair("c_fc"), *pair("c_proj"))
    slope = (_slope(params, name, x, config),) if activation == "leaky_relu" else ()
    return ops.feed_forward(x, *pair("c_fc"), *pair("c_proj"), *slope, activation=activation)


def _slope(params: Mapping[str, Any], name: str, x: Any, config: GPT2Config) -> Any:
    # the layer's own, or the one that all layers share, or a constant
    for known in (f"{name}.act.slope", SHARED_SLOPE):
        if known in params:
            return params[known]
    return np.full(1, config.slope_init, x.value.dtype if isinstance(x, Var) else x.dtype)


def _dropout(x: Any, rate: float, ops: Ops, rng: UniformSource | None) -> Any:
    return x if rng is None or rate == 0.0 else ops.dropout(x, rate=rate, rng=rng)
