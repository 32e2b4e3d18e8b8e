"""The reader that decodes as quickly as weights come from memory; how is in streamed.py.

    reader = FastReader(params, config, batch=1, capacity=1024)
    reader.read([0], prompt)            # many tokens: the fast ops, and logits for the last alone
    reader.read([0], token)             # few: streamed weights

Textbook   npgpt.generation.reader.CachedReader
"""

from __future__ import annotations

from functools import partial
from typing import Mapping, Sequence, cast

import numpy as np

from ..config import GPT2Config
from ..fast.ops import FAST
from ..machine.threads import blas_threads, one_blas_thread
from ..model import hidden
from ..ops import TEXTBOOK, Ops
from ..tape import Array
from ..variants import plain
from . import streamed
from .quantized import Int8, Weights
from .reader import CachedReader, MakeReader


class _Stored(Exception):
    """The last block's keys and values are stored: the rest of the pass would only serve logits."""


class FastReader(CachedReader):
    """A reader with streamed weights for few tokens, and the fast ops for many.

    `params` are a model's, or what `quantized.quantize` made of them; they are read where they lie.
    """

    def __init__(
        self, params: Weights, config: GPT2Config, batch: int = 1, capacity: int | None = None
    ) -> None:
        super().__init__(params, config, batch, capacity, ops=streamed.STREAMED)
        self._quantized = any(isinstance(weight, Int8) for weight in params.values())

    def _readable(self, params: Weights, config: GPT2Config) -> Mapping[str, Array]:
        # the model hands its weights to its ops, and the streamed ones take int8 as it is
        return plain(cast("Mapping[str, Array]", params), config, TEXTBOOK)

    def read(self, rows: Sequence[int], ids: Array, keep: int = 1) -> Array:
        """Read ids (R, T) on from what `rows` hold; the logits (R, keep, V) of the last `keep`."""
        before, last = self.lengths.copy(), ids.shape[1] - keep
        self.positions(rows, ids.shape[1])              # raises if they are too many
        try:
            if ids.size > streamed.FEW >= len(rows) * keep:
                # of the last block, only the last tokens need more than their keys and values
                with one_blas_thread():
                    self._read_without_logits(rows, ids[:, :last])
                ids = ids[:, last:]
            if not ids.size:
                return np.empty((len(rows), 0, self.config.vocab_size), self.keys.dtype)
            # one token of plain weights is left to BLAS and its threads
            with one_blas_thread() if self._quantized or ids.size > 1 else blas_threads():
                return super().read(rows, ids, keep)
        except BaseException:
            self.lengths[...] = before
            raise

    def _read_without_logits(self, rows: Sequence[int], ids: Array) -> None:
        attend = self.attend(rows, self.ops)
        positions = self.positions(rows, ids.shape[1])

        def store_last(layer: int, qkv: Array) -> Array:
            if layer < self.config.n_layer - 1:
                attended: Array = attend(layer, qkv)
                return attended
            self.store(layer, rows, qkv)
            raise _Stored

        try:
            hidden(self.params, ids, self.config, ops=self.ops, attend=store_last,
                   positions=positions)
        except _Stored:
            self.advance(rows, ids.shape[1])


def reader_for(ops: Ops) -> MakeReader:
    """What makes the reader of a model that computes with `ops`: this one for the fast ops."""
    return FastReader if ops == FAST else partial(CachedReader, ops=ops)
