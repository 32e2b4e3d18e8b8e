"""The variants of a study: what turns their parameters and their loss into plain GPT-2's.

    params = plain(params, config, ops)        # names and shapes of GPT-2 itself

A reparametrisation computes a weight or a bias from other parameters: weight norm's gain, low-rank
updates, biases that are frozen at zero, slopes shared by all layers. `plain` computes them all, on
Vars (recorded, with gradients) as on arrays, and `model.py` then knows GPT-2 and nothing else. A
new variant is a field of `GPT2Config`, its parameters in `params.py`, its rule here, and a case in
`selfcheck/cases.py`, which checks its gradients.

Source     Salimans, Kingma 2016, arXiv 1602.07868 (weight norm); Hu et al. 2021, arXiv 2106.09685
           (low-rank updates); Jha, Reagen 2025, arXiv 2501.03489 (entropy penalty)
"""

from __future__ import annotations

from typing import Callable, Mapping, cast

import numpy as np

from .config import GPT2Config
from .layers.attention_entropy import causal_bound
from .ops import TEXTBOOK, Ops
from .params import Params
from .tape import Array, V, Var

SHARED_SLOPE = "mlp.act.slope"
# parameters that are not GPT-2's own, by the last part of their names
EXTRA = ("gain", "lora_A", "lora_B", "entropy_target")


def settings() -> tuple[str, ...]:
    """The settings that GPT-2 does not have, from `norm` on in the order of GPT2Config.options."""
    names = list(GPT2Config.options())
    return tuple(names[names.index("norm"):])


def is_extra(name: str) -> bool:
    """Whether a parameter is one that `plain` multiplies out or that training alone has."""
    return name.rpartition(".")[2] in EXTRA or name == SHARED_SLOPE


def plain(params: Mapping[str, V], config: GPT2Config, ops: Ops) -> Mapping[str, V]:
    """The parameters of the GPT-2 that computes the same; those that are plain already as they are.

    What needs no change is the same array. Weights with a gain or a low-rank update are multiplied
    out, the bias of q, k and v (3C,) has its zeros, and with leaky_relu every layer has a slope.
    Where an update is trained and its weight is frozen, both are left as they are, for `linear`.
    """
    leaky = config.activation_function == "leaky_relu"
    if not (config.weight_norm or config.lora_rank or config.frozen_biases or leaky
            or config.entropy.penalty):
        return params
    changed: dict[str, V] = {}
    applied: set[str] = set()
    # a gain is taken before an update is added, in whatever order the names come
    for name in sorted(params, key=lambda name: name.endswith(".lora_B")):
        stem, _, part = name.rpartition(".")
        weight = f"{stem}.weight"
        if part == "gain":
            changed[weight] = ops.weight_norm(params[weight], params[name])
        elif part == "lora_B":
            given = changed.get(weight, params[weight])                             # (I, O)
            if _is_applied(name, params, given, config):
                applied |= {name, f"{stem}.lora_A"}
                continue
            changed[weight] = ops.low_rank_update(given, params[f"{stem}.lora_A"], params[name],
                                                  scale=config.lora_scale)
        elif config.frozen_biases and name.endswith("attn.c_attn.bias"):
            if params[name].shape != (3 * config.n_embd,):
                changed[name] = ops.pad_zeros(params[name], size=3 * config.n_embd)
    if leaky and "h.0.mlp.act.slope" not in params:
        slope = params[SHARED_SLOPE] if SHARED_SLOPE in params else _constant_slope(params, config)
        changed |= {f"h.{i}.{SHARED_SLOPE}": slope for i in range(config.n_layer)}
    extra = {name for name in params if is_extra(name)}
    extra -= applied
    if not changed and not extra:
        return params
    return {name: value for name, value in {**params, **changed}.items() if name not in extra}


def joined(x: V, branch: V, config: GPT2Config, ops: Ops) -> V:
    """What a block gives from its input and its branch: their sum, or the branch (B, T, C) alone.

    Without residual connections the gradient has no way past a branch.
    """
    return ops.residual(x, branch) if config.residual else branch


def merged(params: Mapping[str, Array], config: GPT2Config) -> tuple[GPT2Config, Params]:
    """Config and parameters without low-rank updates: each is added to its weight.

    Raises ValueError where the weights have a gain too (weight_norm), which an update comes after.
    """
    if config.lora_rank and config.weight_norm:
        raise ValueError("weight_norm=True: low-rank updates cannot be folded into weights with a "
                         "gain")
    made = {name: array for name, array in params.items() if ".lora_" not in name}
    for name, a in params.items():
        stem, _, part = name.rpartition(".")
        if part == "lora_A":
            made[f"{stem}.weight"] = TEXTBOOK.low_rank_update(
                params[f"{stem}.weight"], a, params[f"{stem}.lora_B"], scale=config.lora_scale)
    return config.replace(lora_rank=0, lora_alpha=0.0, lora_on=""), made


def linear(params: Mapping[str, V], name: str, x: V, config: GPT2Config, ops: Ops) -> V:
    """x (..., I) through the linear layer `name`, with its low-rank update if `plain` left one."""
    out = ops.linear(x, params[f"{name}.weight"], params.get(f"{name}.bias"))
    if f"{name}.lora_A" not in params:
        return out
    return ops.residual(out, ops.low_rank(
        x, params[f"{name}.lora_A"], params[f"{name}.lora_B"], scale=config.lora_scale))


def _is_applied(
    update: str, params: Mapping[str, V], weight: V, config: GPT2Config
) -> bool:
    """Whether a low-rank update is applied to activations: no gradient of weight's size is needed.

    SwiGLU's network is one op, which takes its weights multiplied out.
    """
    one_op = config.activation_function == "swiglu" and ".mlp." in update
    return isinstance(params[update], Var) and not isinstance(weight, Var) and not one_op


def with_entropy_penalty(
    attend: Callable[[int, V], V], penalties: list[V], params: Mapping[str, V],
    config: GPT2Config, ops: Ops, length: int,
) -> Callable[[int, V], V]:
    """`attend`, and each layer's penalty () is appended to `penalties`; see EntropyPenalty.

    The entropy is attention's before dropout, over all positions of the batch, whether they are
    targets or not. `length` is T.
    """
    entropy, scale = config.entropy, config.n_layer * config.n_head

    def attend_with_penalty(layer: int, qkv: V) -> V:
        penalties.append(ops.entropy_penalty(
            ops.attention_entropy(qkv, n_head=config.n_head),                       # (H,)
            params[f"h.{layer}.attn.entropy_target"],
            weight=entropy.penalty / scale,
            tolerance=entropy.tolerance, bound=causal_bound(length),
        ))
        return attend(layer, qkv)

    return attend_with_penalty


def _constant_slope(params: Mapping[str, V], config: GPT2Config) -> V:
    table = params["wpe.weight"]
    dtype = table.value.dtype if isinstance(table, Var) else table.dtype
    # a constant among Vars has no gradient; ops take it like any plain array
    return cast(V, np.full(1, config.slope_init, dtype))
