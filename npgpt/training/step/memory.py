"""How much memory a training step needs, from the sizes alone.

It follows the step: activations pile up during forward, the head adds the logits and the gradient
of its table, and then every block on the way back trades its activations for its gradients.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import DTypeLike

from ...budget import count_parameters
from ...config import GPT2Config
from ...fast.attention import KEEP_KEYS
from ...fast.scores import QUERIES
from ...params import parameter_shapes
from .gradients import choose_shards

# threads that allocate at the same time leave gaps in the heap: 0 to 13 % in what was measured
GAPS = 0.04


def peak_memory(
    config: GPT2Config, batch: int, length: int, *, dtype: DTypeLike = np.float32,
    recompute: bool = False, shards: int | None = None, workers: int | None = None,
    grad_accumulation: int = 1, frozen: Collection[str] = (), ranks: int = 1,
) -> int:
    """Bytes that training needs at the highest moment of a step, by AdamW, on this machine.

    Parameters, moments, gradients and activations of a batch (batch, length), in all processes:
    by default the shards that `loss_and_grads` would choose, and the workers of `npgpt train`. With
    `grad_accumulation` above 1, batches follow each other into one step, and their gradients are
    added by `add_gradients`. `frozen` names parameters without gradient and moments. With `ranks`
    above 1 it is what the first rank needs, which has its sequences of the batch and its part of
    the moments. Interpreters and libraries are not counted. Predicted from the sizes; measured:
    within 10 %.
    """
    batch = -(-batch // ranks)
    shards = max(1, choose_shards(config, batch, length) if shards is None else shards)
    if workers is None:
        workers = shards - 1 if sys.executable else 0
    one_block = parameter_shapes(replace(config, n_layer=1))
    sizes = {name: math.prod(shape) for name, shape in one_block.items()}
    rows = -(-batch // shards)
    count = trained = count_parameters(config)
    recorded = config
    if frozen:
        names = [name for name in parameter_shapes(config) if name not in frozen]
        trained = sum(math.prod(parameter_shapes(config)[name]) for name in names)
        # below the first block with something to train nothing is recorded
        layers = [int(name.split(".")[1]) for name in names if name.startswith("h.")]
        first = 0 if {"wte.weight", "wpe.weight"} & {*names} else min(
            layers, default=config.n_layer)
        recorded = replace(config, n_layer=max(1, config.n_layer - first))
        # taken as if every block had an equal part of it
        in_blocks = sum(math.prod(parameter_shapes(config)[name])
                        for name in names if name.startswith("h."))
        sizes = {name: size for name, size in sizes.items() if name in names and name[:2] != "h."}
        sizes["h.0."] = in_blocks // recorded.n_layer
    step = shards * _numbers_of_a_step(recorded, sizes, rows, length, recompute)
    # worker processes share a copy of the parameters, and each a set of gradients
    sets = 1 + (1 + workers if workers else 0)
    # moments; over ranks also the sum of the gradients, of the rank's part
    own = (2 if ranks == 1 else 3) * -(-trained // ranks)
    # the sum of the batches so far is there while the next one's gradients are made
    also = trained if grad_accumulation > 1 else 0
    total = np.dtype(dtype).itemsize * (sets * count + own + also + step)
    return total if shards == 1 else int(total * (1 + GAPS))


def activation_memory(
    config: GPT2Config, batch: int, length: int, *, dtype: DTypeLike = np.float32,
    recompute: bool = False,
) -> int:
    """Bytes that the forward pass of a batch (batch, length) has saved for backward, at its end."""
    return np.dtype(dtype).itemsize * (
        _saved(config, batch, length, recompute) + batch * length * config.vocab_size)


def _saved(config: GPT2Config, batch: int, length: int, recompute: bool) -> int:
    """Numbers that all blocks and the final norm save; the gradient of the stream comes on top."""
    stream = batch * length * config.n_embd
    block = stream if recompute else _saved_by_a_block(config, batch, length)
    # the final norm saves two; the gradient of the stream is alive all the way back
    return config.n_layer * block + (2 * stream if config.final_norm else stream)


def _numbers_of_a_step(
    config: GPT2Config, sizes: dict[str, int], batch: int, length: int, recompute: bool
) -> int:
    positions = batch * length
    c, vocab = config.n_embd, config.n_labels or config.vocab_size
    stream = positions * c
    block = _saved_by_a_block(config, batch, length)
    # the gradient of the wide layer; of SwiGLU's two, and what goes into its projection once more
    wide = config.inner * (3 if config.activation_function == "swiglu" else 1)
    block_grads = sum(size for name, size in sizes.items() if name.startswith("h.0."))
    head = ("score.weight" if config.n_labels else
            "wte.weight" if config.tie_word_embeddings else "lm_head.weight")
    head_grads = sizes.get(head, 0)
    # with a frozen table they are made in groups
    logits = positions * vocab if head_grads else min(positions * vocab, 2**22)
    saved = stream if recompute else block
    live = _saved(config, batch, length, recompute) + logits
    peak = live + head_grads + stream
    live += head_grads - logits
    again = block if recompute else 0
    # what each block changes is the same: the highest is before the last block or before the first
    for blocks in {1, config.n_layer}:
        before = live + (blocks - 1) * (block_grads - saved)
        peak = max(peak, before + again + wide * positions + 2 * stream,
                   before + again + block_grads - saved)
    live += config.n_layer * (block_grads - saved)
    if not config.tie_word_embeddings:
        live += sizes.get("wte.weight", 0)
    return max(peak, live + sizes.get("wpe.weight", 0))


def _saved_by_a_block(config: GPT2Config, batch: int, length: int) -> int:
    positions = batch * length
    # q, k, v; the mixed heads; what goes into attention and into the feed-forward network
    channels = 3 + 1 + 2
    if config.block_norm:
        # the two normalised streams before scale and shift
        channels += 2
    # the activation and its slopes, for a learned slope the wide layer too; SwiGLU's two maps
    wide = config.inner * (3 if config.activation_function == "leaky_relu" else 2)
    saved = positions * (channels * config.n_embd + wide)
    if config.weight_norm:
        # the weights multiplied out
        maps = 3 if config.activation_function == "swiglu" else 2
        saved += config.n_embd * (4 * config.n_embd + maps * config.inner)
    if length <= KEEP_KEYS:
        # the weights of each block of queries on the keys it may see
        seen = sum(
            min(QUERIES, length - start) * min(start + QUERIES, length)
            for start in range(0, length, QUERIES)
        )
        saved += batch * config.n_head * seen
    return saved
