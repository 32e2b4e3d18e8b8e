"""What a model costs in parameters, memory and FLOPs, counted from its config alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike

from .config import GPT2Config
from .ids import check_dtype
from .machine.memory import check_memory
from .params import parameter_shapes


@dataclass(frozen=True)
class Budget:
    """What a model costs, known before anything is allocated."""

    parameters: int
    """Elements of all parameters."""
    parameter_bytes: int
    """Memory of the parameters."""
    training_bytes: int
    """Parameters, gradients and AdamW's two moments; activations come on top."""
    flops_per_token: int
    """Multiplications and additions of one forward pass at full context, per token."""
    training_flops_per_token: int
    """The same for forward and backward: three times as much."""


def budget(config: GPT2Config, dtype: DTypeLike = np.float32) -> Budget:
    """Count parameters, bytes and FLOPs from the config. Raises ValueError as `check_dtype`."""
    shapes = parameter_shapes(replace(config, n_layer=1))
    count = count_parameters(config)
    size = check_dtype(dtype).itemsize
    # a matrix costs one multiplication and one addition per weight and token
    matrices = config.n_layer * sum(
        math.prod(shape) for name, shape in shapes.items()
        if len(shape) == 2 and name not in ("wte.weight", "wpe.weight", "lm_head.weight")
        and ".lora_" not in name        # multiplied out once, and not for every token
    )
    head = config.vocab_size * config.n_embd
    # a query meets (T + 1) / 2 keys on average, once for its scores and once for the values
    attention = config.n_layer * 2 * config.n_embd * (config.n_positions + 1) // 2
    flops = 2 * (matrices + head + attention)
    return Budget(count, count * size, 4 * count * size, flops, 3 * flops)


def count_parameters(config: GPT2Config) -> int:
    """How many elements the parameters have, without a list of them: blocks may be very many."""
    one, two = (sum(map(math.prod, parameter_shapes(replace(config, n_layer=n)).values()))
                for n in (1, 2))
    return one + (config.n_layer - 1) * (two - one)


def check_room_for(config: GPT2Config, dtype: DTypeLike = np.float32, copies: int = 1) -> None:
    """Raise ValueError unless so many copies of the parameters fit into this machine's memory."""
    # an array of its own for each name costs half a kilobyte however small it is
    count = count_parameters(config)
    needed = copies * (check_dtype(dtype).itemsize * count
                       + 512 * len(parameter_shapes(replace(config, n_layer=1))) * config.n_layer)
    many = f"{count:,}" if count < 10**18 else "over 10^18"
    check_memory(needed, f"a model of {many} parameters")
