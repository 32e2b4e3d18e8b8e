"""The floor of a training step: its matmuls alone, on the same shapes and threads.

Linear layers and head, forward and backward, and the causal half of attention's matmuls: two
forward, four backward (a step may compute the scores a second time; the floor does not).
Everything is done the quickest way that was found in NumPy: large matmuls cut over our threads, dx
and dweight in one dispatch; attention in stacks of heads that stay in a core's cache, one matmul
call a stack. A small model's batch goes in shards to threads: matmuls alone do not contend for the
GIL, and processes, which the step uses, were 4 % slower.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy import matmul

from npgpt import GPT2Config
from npgpt.fast.linear import matmuls
from npgpt.fast.scores import cut_blocks, cut_stacks
from npgpt.machine import threads
from npgpt.training.step.gradients import choose_shards

from ..sizes import SIZES, repeated


def prepare(size: str) -> Callable[[], Any]:
    """A callable that does all matmuls of one step."""
    values, batch, length = SIZES[size]
    config = GPT2Config.from_dict(values)
    shards = choose_shards(config, batch, length)
    parts = [_matmuls(config, batch // shards, length) for _ in range(shards)]

    def once() -> None:
        with threads.one_blas_thread():
            threads.each(lambda i: parts[i](), shards)

    return repeated(once, size)


def _matmuls(config: GPT2Config, batch: int, length: int) -> Callable[[], None]:
    n, c, f = batch * length, config.n_embd, config.inner
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    # (in, out) as the checkpoints hold them; the head is the token table, (vocabulary, channels)
    shapes = [(c, 3 * c), (c, c), (c, f), (f, c)] * config.n_layer
    weights = [drawn(*shape) for shape in shapes] + [drawn(config.vocab_size, c).T]
    inputs = {k: drawn(n, k) for k in {w.shape[0] for w in weights}}
    outputs = {k: drawn(n, k) for k in {w.shape[1] for w in weights}}
    dinputs = {k: np.empty_like(x) for k, x in inputs.items()}
    dweights = {w.shape: np.empty_like(w) for w in weights}
    heads = drawn(batch, config.n_head, length, config.head_size)
    stacks = cut_stacks(batch, config.n_head, length, length)
    blocks = cut_blocks(length, length)

    def attend(i: int) -> None:
        x = heads[stacks[i]]                                    # (b, h, T, D)
        for start, stop, seen in blocks:
            queries, keys = x[:, :, start:stop], x[:, :, :seen]
            scores = matmul(queries, keys.swapaxes(2, 3))
            for _ in range(2):
                matmul(scores, keys)                            # out, dq
                matmul(scores.swapaxes(2, 3), queries)          # dv, dk
            matmul(queries, keys.swapaxes(2, 3))                # dweights

    def once() -> None:
        for weight in weights:
            k, m = weight.shape
            matmuls([(inputs[k], weight, outputs[m])])
            matmuls([
                (outputs[m], weight.T, dinputs[k]), (inputs[k].T, outputs[m], dweights[k, m])
            ])
        for _ in range(config.n_layer):
            threads.each(attend, len(stacks))

    return once
