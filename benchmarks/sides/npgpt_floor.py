"""The floor of a training step: its matrix products alone, on the same shapes and threads.

Linear layers and head, forward and backward, and the causal half of attention's products: two
forward, four backward (a step may compute the scores a second time; the floor does not).
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from npgpt import GPT2Config
from npgpt.fast import threads
from npgpt.fast.attention import QUERIES
from npgpt.fast.heap import keep_freed_memory
from npgpt.fast.products import products
from npgpt.fast.step import choose_shards

from ..sizes import SIZES


def prepare(size: str) -> Callable[[], Any]:
    """A callable that does all products of one step."""
    values, batch, length = SIZES[size]
    config = GPT2Config.from_dict(values)
    keep_freed_memory()
    shards = choose_shards(config, batch, length)
    parts = [_products(config, batch // shards, length) for _ in range(shards)]

    def once() -> None:
        with threads.one_blas_thread():
            threads.each(lambda i: parts[i](), shards)

    return once


def _products(config: GPT2Config, batch: int, length: int) -> Callable[[], None]:
    n, c, f = batch * length, config.n_embd, config.inner
    shapes = [(c, 3 * c), (c, c), (c, f), (f, c)] * config.n_layer + [(c, config.vocab_size)]
    weights = [np.ones(shape, np.float32) for shape in shapes]
    inputs = {k: np.ones((n, k), np.float32) for k in {shape[0] for shape in shapes}}
    outputs = {k: np.ones((n, k), np.float32) for k in {shape[1] for shape in shapes}}
    dinputs = {k: np.empty_like(x) for k, x in inputs.items()}
    dweights = {shape: np.empty(shape, np.float32) for shape in set(shapes)}
    heads = np.ones((config.n_head, length, config.head_size), np.float32)

    def attend(i: int) -> None:
        x = heads[i % config.n_head]
        for start in range(0, length, QUERIES):
            stop = min(start + QUERIES, length)
            scores = x[start:stop] @ x[:stop].T
            for _ in range(2):
                scores @ x[:stop]                       # out, dq
                scores.T @ x[start:stop]                # dv, dk
            x[start:stop] @ x[:stop].T                  # dweights

    def once() -> None:
        for weight in weights:
            k, m = weight.shape
            products([(inputs[k], weight, outputs[m])])
            products([
                (outputs[m], weight.T, dinputs[k]), (inputs[k].T, outputs[m], dweights[k, m])
            ])
        for _ in range(config.n_layer):
            threads.each(attend, batch * config.n_head)

    return once
