"""The KV cache: the keys and values of tokens already read, so that each is computed once.

    cache = KVCache(config, batch=1)
    x = hidden(params, prompt, config, attend=cache.attend([0]), positions=...)      # prefill
    cache.advance([0], prompt.shape[1])
    x = hidden(params, token, config, attend=cache.attend([0]), positions=...)       # decode

Every row of the batch has a length of its own. Keys and values of new tokens are written behind
that length and count only once `advance` was called: an interrupted pass leaves no trace.

Shapes     keys, values (L, B, H, S, D), S positions allocated    lengths (B,)
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

import numpy as np
from numpy.typing import DTypeLike

from ..config import GPT2Config
from ..ids import check_integer
from ..layers.attention import merge_heads, split_heads, split_qkv
from ..ops import TEXTBOOK, Ops
from ..tape import Array


class _Span(NamedTuple):
    """Rows of a pass and of the cache whose new tokens go to the same place."""

    here: slice
    there: slice
    start: int


class KVCache:
    """Keys and values of `batch` rows of up to `capacity` tokens; n_positions by default."""

    def __init__(
        self,
        config: GPT2Config,
        batch: int = 1,
        *,
        capacity: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config = config
        self.capacity = check_integer(
            "capacity", config.n_positions if capacity is None else capacity, 1, config.n_positions)
        shape = (config.n_layer, batch, config.n_head, self.capacity, config.head_size)
        self.keys = np.empty(shape, dtype)                      # (L, B, H, S, D)
        self.values = np.empty(shape, dtype)
        self.lengths = np.zeros(batch, np.int64)

    def positions(self, rows: Sequence[int], count: int) -> Array:
        """Where the next `count` tokens of each row lie: (R, count)."""
        start = self.lengths[list(rows)]
        if len(start) and int(start.max()) + count > self.capacity:
            raise ValueError(f"{int(start.max())} tokens and {count} more exceed the cache's "
                             f"capacity of {self.capacity}")
        return start[:, None] + np.arange(count)

    def attend(self, rows: Sequence[int], ops: Ops = TEXTBOOK) -> Callable[[int, Array], Array]:
        """The attention for `model.hidden`: new tokens see their row's cached ones, and each other.

        It stores the new keys and values; call `advance` when the whole pass is done.
        """
        spans = self._spans(rows)
        n_head = self.config.n_head

        def attend(layer: int, qkv: Array) -> Array:
            q, k, v = (split_heads(part, n_head) for part in split_qkv(qkv))    # (R, H, T, D)
            self._store(layer, spans, k, v)
            if not any(span.start for span in spans):
                alone: Array = ops.multi_head_attention(qkv, n_head=n_head)
                return alone
            keys, values, count = self.keys[layer], self.values[layer], q.shape[2]
            mixed = [
                ops.causal_attention(q[here], keys[there, :, :start + count],
                                     values[there, :, :start + count])
                for here, there, start in spans
            ]
            return merge_heads(mixed[0] if len(mixed) == 1 else np.concatenate(mixed))

        return attend

    def store(self, layer: int, rows: Sequence[int], qkv: Array) -> None:
        """Write the keys and values of qkv (R, T, 3C) behind what the rows hold."""
        _, k, v = (split_heads(part, self.config.n_head) for part in split_qkv(qkv))
        self._store(layer, self._spans(rows), k, v)

    def _store(self, layer: int, spans: list[_Span], k: Array, v: Array) -> None:
        for here, there, start in spans:
            self.keys[layer, there, :, start:start + k.shape[2]] = k[here]
            self.values[layer, there, :, start:start + k.shape[2]] = v[here]

    def _spans(self, rows: Sequence[int]) -> list[_Span]:
        # fancy indexing would copy the cache: neighbours of one length go through a slice
        starts = self.lengths[list(rows)].tolist()
        first = rows[0]
        if len(set(starts)) == 1 and list(rows) == list(range(first, first + len(rows))):
            return [_Span(slice(0, len(rows)), slice(first, first + len(rows)), starts[0])]
        return [_Span(slice(i, i + 1), slice(row, row + 1), start)
                for i, (row, start) in enumerate(zip(rows, starts))]

    def advance(self, rows: Sequence[int], count: int) -> None:
        """Count the last `count` tokens stored for these rows as read."""
        self.lengths[list(rows)] += count

    def cut(self, row: int, length: int) -> None:
        """Keep only the first `length` tokens of a row."""
        if not 0 <= length <= self.lengths[row]:
            raise ValueError(f"cannot keep {length} of {self.lengths[row]} tokens")
        self.lengths[row] = length

    def copy(self, source: int, target: int) -> None:
        """Let row `target` hold what row `source` holds."""
        length = int(self.lengths[source])
        self.keys[:, target, :, :length] = self.keys[:, source, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]
        self.lengths[target] = length
