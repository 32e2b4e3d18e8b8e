"""The parameters: names, shapes and initial values, all from a config.

A model's parameters are one flat dict of arrays under GPT-2's own checkpoint names. Loading,
saving, the optimiser and the gradient check are each one loop over it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from .config import GPT2Config
from .ids import FLOAT_TYPES, check_dtype, check_integer
from .layers.weight_norm import column_norms
from .suggest import one_line, shown
from .tape import Array

Params = dict[str, Array]


def parameter_shapes(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape, in the order of the forward pass; nothing is allocated.

    Linear weights are (in, out). Beside GPT-2's names: `lm_head.weight` (V, C) when untied, or
    `score.weight` (n_labels, C) of a classifier, `h.{i}.mlp.c_gate` for swiglu,
    `h.{i}.mlp.act.slope` (1,) for leaky_relu, or `mlp.act.slope` where all layers share it;
    `.gain` (out,) beside a weight with weight_norm; `.lora_A` (in, r) and `.lora_B` (r, out) beside
    those of lora_on with lora_rank r; `h.{i}.attn.entropy_target` (H,) with an entropy penalty.
    With frozen_biases `h.{i}.attn.c_attn.bias` is (2C,), for q and k alone, and the other linear
    biases are absent.
    """
    c, f = config.n_embd, config.inner
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (config.vocab_size, c),
        "wpe.weight": (config.n_positions, c),
    }

    def norm(name: str) -> None:
        shapes[f"{name}.weight"] = (c,)
        shapes[f"{name}.bias"] = (c,)

    def linear(name: str, n_in: int, n_out: int, biases: int | None = None) -> None:
        shapes[f"{name}.weight"] = (n_in, n_out)
        if config.weight_norm:
            shapes[f"{name}.gain"] = (n_out,)
        if config.has_lora(name):
            shapes[f"{name}.lora_A"] = (n_in, config.lora_rank)
            shapes[f"{name}.lora_B"] = (config.lora_rank, n_out)
        if biases is None:
            biases = 0 if config.frozen_biases else n_out
        if biases:
            shapes[f"{name}.bias"] = (biases,)

    qkv_biases = (2 * c if config.frozen_biases else 3 * c) if config.qkv_bias else 0
    leaky = config.activation_function == "leaky_relu"

    for i in range(config.n_layer):
        if config.block_norm:
            norm(f"h.{i}.ln_1")
        linear(f"h.{i}.attn.c_attn", c, 3 * c, qkv_biases)
        if config.entropy.penalty:
            shapes[f"h.{i}.attn.entropy_target"] = (config.n_head,)
        linear(f"h.{i}.attn.c_proj", c, c)
        if config.block_norm:
            norm(f"h.{i}.ln_2")
        if config.activation_function == "swiglu":
            linear(f"h.{i}.mlp.c_gate", c, f)
        linear(f"h.{i}.mlp.c_fc", c, f)
        if leaky and config.leaky_slope == "layer":
            shapes[f"h.{i}.mlp.act.slope"] = (1,)
        linear(f"h.{i}.mlp.c_proj", f, c)
    if leaky and config.leaky_slope == "shared":
        shapes["mlp.act.slope"] = (1,)
    if config.final_norm:
        norm("ln_f")
    if config.n_labels:
        shapes["score.weight"] = (config.n_labels, c)
    elif not config.tie_word_embeddings:
        shapes["lm_head.weight"] = (config.vocab_size, c)
    return shapes


def matrix_weights(config: GPT2Config) -> int:
    """How many weights each position is multiplied with, which times positions is a pass's work."""
    matrices = config.n_layer * config.n_embd * (4 * config.n_embd + 2 * config.inner)
    return matrices + config.vocab_size * config.n_embd


def init_params(
    config: GPT2Config, seed: int = 0, dtype: type | str | np.dtype = np.float32,
    only: Callable[[str], bool] = lambda name: True,
) -> Params:
    """Draw initial parameters as GPT-2's later ports do: N(0, initializer_range), biases 0.

    The two matrices that write to the residual stream (both c_proj) are drawn with
    initializer_range / sqrt(2 * n_layer), unless config.scale_residual_init is False. A gain
    starts as the length of its column and lora_B at 0, so that neither changes anything at first.
    Same seed, same numbers, in float32 as in float64 (rounded). A name for which `only` is False is
    left out. Raises ValueError for a seed that is not an integer of at least 0, and another dtype
    than float32 and float64.
    """
    dtype = check_dtype(dtype)
    rng = np.random.default_rng(check_integer("seed", seed, 0))
    params: Params = {}
    for name, shape in parameter_shapes(config).items():
        if not only(name):
            continue
        if name.endswith(".slope"):
            params[name] = np.full(shape, config.slope_init, dtype)
        elif name.endswith(".entropy_target"):
            params[name] = np.full(shape, config.entropy.target, dtype)
        elif name.endswith(".gain"):
            params[name] = column_norms(params[name.removesuffix("gain") + "weight"])
        elif name.endswith(".lora_B"):
            params[name] = np.zeros(shape, dtype)
        elif len(shape) == 1:
            is_norm_weight = name.endswith(".weight")
            params[name] = np.full(shape, 1.0 if is_norm_weight else 0.0, dtype)
        else:
            std = config.initializer_range
            if name.endswith("c_proj.weight") and config.scale_residual_init:
                std /= math.sqrt(2 * config.n_layer)
            params[name] = _normal(rng, shape, std, dtype)
    return params


def _normal(
    rng: np.random.Generator, shape: tuple[int, ...], std: float, dtype: np.dtype
) -> Array:
    # by runs of rows, so that float64 draws of a large table never stand in memory at once
    out = np.empty(shape, dtype)
    step = max(1, 2**20 // shape[1])
    for start in range(0, shape[0], step):
        rows = out[start:start + step]
        rows[...] = rng.standard_normal(rows.shape) * std
    return out


def check_params(config: GPT2Config, params: Mapping[str, Array], others: bool = False) -> None:
    """Raise ValueError with the ways in which params do not match the config.

    `others` allows parameters that it does not have.
    """
    if not isinstance(params, Mapping):
        raise ValueError(f"parameters: expected a dict of arrays by name, got {shown(params)}")
    if config.n_layer > len(params):        # a damaged config may ask for a thousand million
        raise ValueError(f"{len(params)} parameters are too few for {config.n_layer} blocks")
    shapes = parameter_shapes(config)
    problems = [f"{name} is missing" for name in shapes if params.get(name) is None]
    unknown = [] if others else [one_line(str(name))[:80] for name in params if name not in shapes]
    problems += [f"{name} is not a parameter of this config" for name in unknown]
    for name, shape in shapes.items():
        if (array := params.get(name)) is None:
            continue
        if np.shape(array) != shape:
            problems.append(f"{name} has shape {np.shape(array)}, the config needs {shape}")
        elif getattr(array, "dtype", None) not in FLOAT_TYPES:
            problems.append(f"{name} is {getattr(array, 'dtype', type(array).__name__)}, expected "
                            f"an array of {' or '.join(FLOAT_TYPES)}")
    if problems:
        more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ValueError("parameters do not match the config: " + "; ".join(problems[:20]) + more)
