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
from .ops import Ops
from .tape import V, Var

SHARED_SLOPE = "mlp.act.slope"
# parameters that are not GPT-2's own, by the last part of their names
EXTRA = ("gain", "lora_A", "lora_B", "entropy_target")


def settings() -> tuple[str, ...]:
    """The settings that GPT-2 does not have, from `norm` on in the order of GPT2Config.options."""
    names = list(GPT2Config.options())
    return tuple(names[names.index("norm"):])


def plain(params: Mapping[str, V], config: GPT2Config, ops: Ops) -> Mapping[str, V]:
    """The parameters of the GPT-2 that computes the same; those that are plain already as they are.

    What needs no change is the same array. Weights with a gain or a low-rank update are multiplied
    out, the bias of q, k and v (3C,) has its zeros, and with leaky_relu every layer has a slope.
    """
    leaky = config.activation_function == "leaky_relu"
    if not (config.weight_norm or config.lora_rank or config.frozen_biases or leaky
            or config.entropy.penalty):
        return params
    changed: dict[str, V] = {}
    # a gain is taken before an update is added, in whatever order the names come
    for name in sorted(params, key=lambda name: name.endswith(".lora_B")):
        stem, _, part = name.rpartition(".")
        weight = f"{stem}.weight"
        if part == "gain":
            changed[weight] = ops.weight_norm(params[weight], params[name])
        elif part == "lora_B":
            update = ops.linear(params[f"{stem}.lora_A"], params[name], None)       # (I, O)
            changed[weight] = ops.residual(changed.get(weight, params[weight]), update)
        elif config.frozen_biases and name.endswith("attn.c_attn.bias"):
            if params[name].shape != (3 * config.n_embd,):
                changed[name] = ops.pad_zeros(params[name], size=3 * config.n_embd)
    if leaky and "h.0.mlp.act.slope" not in params:
        slope = params[SHARED_SLOPE] if SHARED_SLOPE in params else _constant_slope(params, config)
        changed |= {f"h.{i}.{SHARED_SLOPE}": slope for i in range(config.n_layer)}
    extra = {name for name in params
             if name.rpartition(".")[2] in EXTRA or name == SHARED_SLOPE}
    if not changed and not extra:
        return params
    return {name: value for name, value in {**params, **changed}.items() if name not in extra}


def joined(x: V, branch: V, config: GPT2Config, ops: Ops) -> V:
    """What a block gives from its input and its branch: their sum, or the branch (B, T, C) alone.

    Without residual connections the gradient has no way past a branch.
    """
    return ops.residual(x, branch) if config.residual else branch


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
