"""The models and batches that are measured."""

from __future__ import annotations

from typing import Any, Callable

GPT2_124M = {"vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}

# name -> (config, batch, length)
SIZES: dict[str, tuple[dict[str, int], int, int]] = {
    "recipe": (
        {"vocab_size": 65, "n_positions": 64, "n_embd": 128, "n_layer": 4, "n_head": 4}, 12, 64
    ),
    "six": (
        {"vocab_size": 65, "n_positions": 256, "n_embd": 384, "n_layer": 6, "n_head": 6}, 8, 256
    ),
    "gpt2-64": (GPT2_124M, 4, 64),
    "gpt2-1024": (GPT2_124M, 1, 1024),
}
LABELS = {
    "recipe": "nanoGPT's CPU recipe, B12 T64",
    "six": "6 layers x 384 channels, B8 T256",
    "gpt2-64": "124M, B4 T64",
    "gpt2-1024": "124M, B1 T1024",
}

# steps in one repetition: a single step this short would mostly measure caches that the contestant
# before had filled
STEPS = {"recipe": 20}
# of models without a name: multiplications and additions in matmuls, and the most steps
LEAST_WORK, MOST_STEPS = 5e10, 20

# beside training: tokens written, batches evaluated, models whose gradients are checked
WRITTEN, BATCHES, CHECKED = 200, 20, 1

ADAMW: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
CLIP = 1.0
# of the single ops: positions, channels, hidden channels, vocabulary, heads; dropout; the penalty
OP_SHAPES = {"T": 1024, "C": 768, "F": 3072, "V": 50257, "H": 12}
RATE = 0.1
PENALTY = {"weight": 0.1, "tolerance": 0.1, "bound": 6.0}
# of the limits: matmuls of (positions, in, out), forward and both backward, REPEATS times; and a
# matrix as large as all weights that 124M reads for a token
LIMIT_SHAPES = {"matmuls 1024": (1024, 768, 3072), "matmuls 256": (256, 768, 3072)}
REPEATS = 10
WEIGHTS_READ = (40448, 3072)


def sized(size: Any) -> tuple[dict[str, int], int, int]:
    """(config, batch, length): a name of SIZES, or the three themselves."""
    values, batch, length = SIZES[size] if isinstance(size, str) else size
    return values, batch, length


def steps_of(size: Any) -> int:
    """How many steps one repetition takes: as STEPS says, or so many that it takes a while."""
    if isinstance(size, str):
        return STEPS.get(size, 1)
    values, batch, length = sized(size)
    width = values["n_embd"]
    weights = 12 * values["n_layer"] * width**2 + values["vocab_size"] * width
    return max(1, min(MOST_STEPS, int(LEAST_WORK / (6.0 * weights * batch * length))))


def matmul_flops(name: str) -> float:
    """Multiplications and additions of all repeats of the three matmuls of one of LIMIT_SHAPES."""
    positions, into, out = LIMIT_SHAPES[name]
    return REPEATS * 3 * 2.0 * positions * into * out


def repeated(step: Callable[[], Any], size: Any) -> Callable[[], dict[str, int]]:
    """One repetition of a training row: as many steps as `steps_of` says, and their number."""
    steps = steps_of(size)

    def once() -> dict[str, int]:
        for _ in range(steps):
            step()
        return {"per": steps}

    return once
