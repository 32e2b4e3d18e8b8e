"""The reader that decodes as quickly as weights come from memory; how is in streamed.py.

    reader = FastReader(params, config, batch=1, capacity=1024)
    reader.read([0], prompt)            # many tokens: the fast ops, and logits for the last alone
    reader.read([0], token)             # few: streamed weights

Textbook   npgpt.generation.reader.CachedReader
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Iterator, Mapping, Sequence, cast

import numpy as np

from ..config import GPT2Config
from ..fast.ops import FAST
from ..machine.quicker import Quicker
from ..machine.threads import THRESHOLDS, blas_threads, one_blas_thread
from ..model import block, head_weight, hidden
from ..ops import TEXTBOOK, Ops
from ..params import matrix_weights
from ..tape import Array
from ..variants import plain
from . import streamed
from .quantized import Int8, Weights
from .reader import CachedReader, MakeReader


class _Stored(Exception):
    """The last block's keys and values are stored: the rest would only serve logits."""


class FastReader(CachedReader):
    """A reader with streamed weights for few tokens, and the fast ops for many.

    `params` are a model's, or what `quantized.quantize` made of them; they are read where they lie.
    """

    def __init__(
        self, params: Weights, config: GPT2Config, batch: int = 1, capacity: int | None = None
    ) -> None:
        super().__init__(params, config, batch, capacity, ops=streamed.STREAMED)
        plain_weights = not any(isinstance(weight, Int8) for weight in params.values())
        self._streams = plain_weights and matrix_weights(config) >= THRESHOLDS.decode
        self._with_threads = Quicker()

    def _readable(self, params: Weights, config: GPT2Config) -> Mapping[str, Array]:
        # the model hands its weights to its ops, and the streamed ones take int8 as it is
        return plain(cast("Mapping[str, Array]", params), config, TEXTBOOK)

    def read(self, rows: Sequence[int], ids: Array, keep: int = 1) -> Array:
        """Read ids (R, T) on from what `rows` hold; the logits (R, keep, V) of the last `keep`."""
        before = self.lengths.copy()
        self.positions(rows, ids.shape[1])              # raises if they are too many
        try:
            if ids.size > streamed.FEW >= len(rows) * keep:
                with one_blas_thread():
                    return self._read_many(rows, ids, keep)
            return super().read(rows, ids, keep)
        except BaseException:
            self.lengths[...] = before
            raise

    @contextmanager
    def _blas(self, count: int) -> Iterator[None]:
        # the ops cut their work over our threads; a single token is left to BLAS's where its
        # weights are so many that they come from memory, and where those threads are quicker
        if count > 1 or not self._streams:
            with one_blas_thread():
                yield
            return
        with self._with_threads.piece() as threads:
            with blas_threads() if threads else one_blas_thread():
                yield

    def _read_many(self, rows: Sequence[int], ids: Array, keep: int) -> Array:
        """`read`, in whose last block only the last `keep` tokens are more than keys and values."""
        first = ids.shape[1] - keep
        positions = self.positions(rows, ids.shape[1])

        def only_store(layer: int, qkv: Array) -> Array:
            self.store(layer, rows, qkv)
            raise _Stored

        def run_block(
            params: Mapping[str, Array], layer: int, x: Array, *args: Any, **given: Any
        ) -> Array:
            if layer < self.config.n_layer - 1:
                return block(params, layer, x, *args, **given)
            with suppress(_Stored):
                block(params, layer, x[:, :first], *args, **{**given, "attend": only_store})
            self.advance(rows, first)
            if not keep:
                raise _Stored
            given["attend"] = self.attend(rows, self.ops)
            return block(params, layer, x[:, first:], *args, **given)

        try:
            x = hidden(self.params, ids, self.config, ops=self.ops, positions=positions,
                       attend=self.attend(rows, self.ops), run_block=run_block)
        except _Stored:
            return np.empty((len(rows), 0, self.config.vocab_size), self.keys.dtype)
        self.advance(rows, keep)
        logits: Array = self.ops.unembedding(x, head_weight(self.params, self.config))
        return logits


def reader_for(ops: Ops) -> MakeReader:
    """What makes the reader of a model that computes with `ops`: this one for the fast ops."""
    return FastReader if ops == FAST else partial(CachedReader, ops=ops)
