"""A reader: it reads tokens in chunks, remembers them, and scores what may come next.

The writer knows a model only through a reader's `lengths`, `read`, `cut` and `copy`; another way to
decode is another class with them. Rows are the texts of a batch, numbered from 0.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Callable, Mapping, Sequence

import numpy as np

from ..config import GPT2Config
from ..fast.ops import blas_of
from ..model import head_weight, hidden
from ..ops import TEXTBOOK, Ops
from ..tape import Array
from .cache import KVCache
from .quantized import Weights, dequantize


class CachedReader(KVCache):
    """A KV cache that model.hidden fills: the first chunk is prefill, single tokens are decode."""

    def __init__(
        self,
        params: Weights,
        config: GPT2Config,
        batch: int = 1,
        capacity: int | None = None,
        *,
        ops: Ops = TEXTBOOK,
    ) -> None:
        self.ops = ops
        self.params = self._readable(params, config)
        super().__init__(config, batch, capacity=capacity, dtype=self.params["wpe.weight"].dtype)

    def _readable(self, params: Weights, config: GPT2Config) -> Mapping[str, Array]:
        """The parameters as this reader's ops take them."""
        return dequantize(params)

    def read(self, rows: Sequence[int], ids: Array, keep: int = 1) -> Array:
        """Read ids (R, T) on from what `rows` hold; the logits (R, keep, V) of the last `keep`."""
        count = ids.shape[1]
        with self._blas(ids.size):
            x = hidden(
                self.params, ids, self.config, ops=self.ops,
                attend=self.attend(rows, self.ops), positions=self.positions(rows, count),
            )                                                   # (R, T, C)
            self.advance(rows, count)
            # the head is a third of a small model's work: only the rows that are asked for
            logits: Array = self.ops.unembedding(
                np.ascontiguousarray(x[:, count - keep:]), head_weight(self.params, self.config)
            )
        return logits

    def _blas(self, count: int) -> AbstractContextManager[None]:
        """The threads of BLAS for a pass over so many tokens."""
        return blas_of(self.ops, self.config, count)


# makes the reader of a batch, from weights, config, rows of the batch and tokens of each at most
MakeReader = Callable[[Weights, GPT2Config, int, int], CachedReader]
