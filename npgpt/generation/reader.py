"""A reader: it reads tokens in chunks, remembers them, and scores what may come next.

The engine knows a model only through the four members of `Reader`; another way to decode is another
class with them. Rows are the texts of a batch, numbered from 0.
"""

from __future__ import annotations

from typing import Mapping, Protocol, Sequence

import numpy as np

from ..config import GPT2Config
from ..model import head_weight, hidden
from ..ops import TEXTBOOK, Ops
from ..tape import Array
from .cache import KVCache
from .quantized import Weights, dequantize


class Reader(Protocol):
    """What the engine asks of a model that remembers."""

    @property
    def lengths(self) -> Array:
        """How many tokens each row holds, (B,)."""
        ...

    def read(self, rows: Sequence[int], ids: Array, keep: int = 1) -> Array:
        """Read ids (R, T) on from what `rows` hold; the logits (R, keep, V) of the last `keep`."""
        ...

    def cut(self, row: int, length: int) -> None:
        """Keep only the first `length` tokens of a row."""
        ...

    def copy(self, source: int, target: int) -> None:
        """Let row `target` hold what row `source` holds."""
        ...


class MakeReader(Protocol):
    """Makes the reader of one batch; `CachedReader` is one, with any ops bound to it."""

    def __call__(
        self, params: Weights, config: GPT2Config, batch: int, capacity: int
    ) -> Reader:
        """A reader for `batch` rows of up to `capacity` tokens each."""
        ...


class CachedReader:
    """model.hidden with a KV cache: the first chunk is prefill, single tokens are decode."""

    def __init__(
        self,
        params: Weights,
        config: GPT2Config,
        batch: int = 1,
        capacity: int | None = None,
        *,
        ops: Ops = TEXTBOOK,
    ) -> None:
        self.config = config
        self.ops = ops
        self.params = self._readable(params)
        dtype = self.params["wpe.weight"].dtype
        self.cache = KVCache(config, batch, capacity=capacity, dtype=dtype)

    def _readable(self, params: Weights) -> Mapping[str, Array]:
        """The parameters as this reader's ops take them."""
        return dequantize(params)

    @property
    def lengths(self) -> Array:
        """How many tokens each row holds, (B,)."""
        return self.cache.lengths

    def read(self, rows: Sequence[int], ids: Array, keep: int = 1) -> Array:
        """Read ids (R, T) on from what `rows` hold; the logits (R, keep, V) of the last `keep`."""
        count = ids.shape[1]
        x = hidden(
            self.params, ids, self.config, ops=self.ops,
            attend=self.cache.attend(rows, self.ops),
            positions=self.cache.positions(rows, count),
        )                                                       # (R, T, C)
        self.cache.advance(rows, count)
        # the head is a third of a small model's work: only the rows that are asked for
        logits: Array = self.ops.unembedding(
            np.ascontiguousarray(x[:, count - keep:]), head_weight(self.params, self.config)
        )
        return logits

    def cut(self, row: int, length: int) -> None:
        """Keep only the first `length` tokens of a row."""
        self.cache.cut(row, length)

    def copy(self, source: int, target: int) -> None:
        """Let row `target` hold what row `source` holds."""
        self.cache.copy(source, target)
