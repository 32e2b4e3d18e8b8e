"""Reading a few tokens at a time: every weight comes from memory once, and is used for all of them.

    reader = FastReader(params, config, batch=1, capacity=1024)
    reader.read([0], prompt)            # many tokens: the fast ops, and logits for the last alone
    reader.read([0], token)             # few: streamed products over all weights

For one token the work of a model is reading its weights: 498 MB for GPT-2's 124M. BLAS does that
with threads of its own: they wait for work in a spin, where a sleeping Python thread takes a
tenth of a millisecond to wake, 49 times a token. Measured: 20 to 22 ms a token instead of 30.
For several tokens a product takes contiguous rows of the weight, an equal run of them on each of
our threads, and adds up the threads' sums. The rows come in tiles that stay
in cache, small enough for BLAS's kernels that do not copy their operands first: that copy is what
makes a matrix product of 2 rows cost 2.6 times one of 1. Measured on two cores, 124M, a portion of
2 tokens takes 1.7 times as long as one token, 4 tokens 1.9, 8 tokens 2.2; in int8 1.5, 1.6 and 2.1
(`python -m benchmarks.decode`). For that BLAS's threads must not spin for long: see npgpt.machine.

Int8 weights (quantized.py) are widened tile by tile, in cache, and scaled after the sum.

Textbook   npgpt.generation.reader.CachedReader
"""

from __future__ import annotations

import math
import threading
from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from ..config import GPT2Config
from ..fast.activations import Kernels
from ..fast.feed_forward import KERNELS
from ..fast.ops import FAST as ops
from ..fast.relu import leaky_kernels
from ..layers.attention import split_heads, split_qkv
from ..layers.contract import Array
from ..machine.malloc import keep_freed_memory
from ..machine.threads import KEYS, STREAM, blas_threads, each, get_threads, one_blas_thread
from ..model import block, head_weight, hidden
from ..ops import TEXTBOOK
from ..variants import plain
from .cache import KVCache
from .quantized import Int8, Widened

# up to so many tokens at once are streamed; more go through the ops
FEW = 24
# weights in a tile for one token: they and what they were widened from stay in cache (124M in
# int8: 34.7 ms a token with 2**17, 32.7 with this, 33.6 with 2**18)
TILE = 196608
# for several: weights, rows of linear weights, rows of a table, and tokens times weights; up to
# here BLAS takes its kernels without a copy, and they do well
SHARED_TILE = 98304
TILE_ROWS = 64
TABLE_ROWS = 512
TILE_WORK = 786432
# bytes of a cache line
LINE = 64

_local = threading.local()


class _Linear(NamedTuple):
    weight: Any                     # (I, O), an array or Int8
    bias: Array | None              # (O,)


class _Norm(NamedTuple):
    weight: Array                   # (C,)
    bias: Array


class _Block(NamedTuple):
    """One block's parameters, looked up once."""

    norm_1: _Norm | None
    qkv: _Linear
    attention_out: _Linear
    norm_2: _Norm | None
    gate: _Linear | None
    wide: _Linear
    wide_out: _Linear
    kernels: Kernels


class FastReader:
    """A Reader (npgpt.generation.reader) with streamed products for few tokens.

    `params` are a model's, or what `quantized.quantize` made of them; they are read where they lie.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        config: GPT2Config,
        batch: int = 1,
        capacity: int | None = None,
    ) -> None:
        keep_freed_memory()
        self.params = params = plain(params, config, TEXTBOOK)
        self.config = config
        dtype = params["wpe.weight"].dtype
        self.cache = KVCache(config, batch, capacity=capacity, dtype=dtype)
        self._blocks = [_block(params, layer, config) for layer in range(config.n_layer)]
        self._final_norm = _norm(params, "ln_f") if config.final_norm else None

    @property
    def lengths(self) -> Array:
        """How many tokens each row holds, (B,)."""
        return self.cache.lengths

    def read(self, rows: Sequence[int], ids: Array, keep: int = 1) -> Array:
        """Read ids (R, T) on from what `rows` hold; the logits (R, keep, V) of the last `keep`."""
        rows = list(rows)
        count = ids.shape[1]
        self.cache.positions(rows, count)       # it says so, if they are too many
        before = self.cache.lengths.copy()
        many = len(rows) * count > FEW
        try:
            if many and len(rows) * keep > FEW:
                return self._read_at_once(rows, ids, keep)
            if many:
                # of the last block, only the kept tokens need more than their keys and values
                self._read_without_logits(rows, ids[:, :count - keep])
                ids = ids[:, count - keep:]
            if not ids.size:
                return np.empty((len(rows), 0, self.config.vocab_size), self.cache.keys.dtype)
            return self._read_few(rows, ids, keep)
        except BaseException:
            self.cache.lengths[...] = before
            raise

    def cut(self, row: int, length: int) -> None:
        """Keep only the first `length` tokens of a row."""
        self.cache.cut(row, length)

    def copy(self, source: int, target: int) -> None:
        """Let row `target` hold what row `source` holds."""
        self.cache.copy(source, target)

    def _read_at_once(self, rows: list[int], ids: Array, keep: int) -> Array:
        """Every block for every token, through the ops."""
        x = self._hidden(rows, ids)                             # (R, T, C)
        self.cache.advance(rows, ids.shape[1])
        x = np.ascontiguousarray(x[:, ids.shape[1] - keep:])
        return ops.unembedding(x, head_weight(Widened(self.params), self.config))

    def _read_without_logits(self, rows: list[int], ids: Array) -> None:
        """The same, but of the last block only the keys and values."""

        def run_block(params: Any, layer: int, x: Array, config: Any, **settings: Any) -> Array:
            if layer < config.n_layer - 1:
                return block(params, layer, x, config, **settings)
            here = self._blocks[layer]
            if here.norm_1 is not None:
                x = ops.layernorm(x, *here.norm_1, eps=config.layer_norm_epsilon)
            qkv = ops.linear(x, params[f"h.{layer}.attn.c_attn.weight"], here.qkv.bias)
            self._store(layer, rows, qkv)
            return x[:, :0]

        self._hidden(rows, ids, run_block)
        self.cache.advance(rows, ids.shape[1])

    def _hidden(self, rows: list[int], ids: Array, run_block: Any = None) -> Array:
        params, table = self.params, self.params["wte.weight"]
        if isinstance(table, Int8):
            # only the rows of tokens that occur: the table is the largest of all
            occurring, ids = np.unique(ids, return_inverse=True)
            ids = ids.reshape(len(rows), -1)
            params = {**params, "wte.weight": table.take(occurring)}
        return hidden(
            Widened(params), ids, self.config, ops=ops, attend=self.cache.attend(rows, ops),
            positions=self.cache.positions(rows, ids.shape[1]), run_block=run_block,
        )

    def _store(self, layer: int, rows: list[int], qkv: Array) -> None:
        """Write the keys and values of qkv (R, T, 3C) behind what the rows hold."""
        _, k, v = (split_heads(part, self.config.n_head) for part in split_qkv(qkv))
        keys, values = self.cache.keys[layer], self.cache.values[layer]     # (B, H, S, D)
        for i, row in enumerate(rows):
            run = slice(self.cache.lengths[row], self.cache.lengths[row] + qkv.shape[1])
            keys[row, :, run] = k[i]
            values[row, :, run] = v[i]

    def _read_few(self, rows: list[int], ids: Array, keep: int) -> Array:
        count = ids.shape[1]
        shape = (len(rows), count, self.config.n_embd)
        # a single row of plain weights is left to BLAS and its threads
        plain = not isinstance(self._blocks[0].wide.weight, Int8)
        with blas_threads() if plain and ids.size == 1 else one_blas_thread():
            x = self._embedded(ids, self.cache.positions(rows, count))      # (N, C)
            for layer, here in enumerate(self._blocks):
                qkv = _linear(self._normed(x, here.norm_1), here.qkv)       # (N, 3C)
                mixed = self._attended(layer, rows, qkv.reshape(*shape[:2], -1))
                x += _linear(mixed, here.attention_out)
                x += _fed_forward(self._normed(x, here.norm_2), here)
            self.cache.advance(rows, count)
            x = np.ascontiguousarray(x.reshape(shape)[:, count - keep:]).reshape(-1, shape[2])
            logits = table_product(
                self._normed(x, self._final_norm), head_weight(self.params, self.config)
            )
        return logits.reshape(len(rows), keep, logits.shape[1])

    def _embedded(self, ids: Array, positions: Array) -> Array:
        table = self.params["wte.weight"]
        x = table.take(ids) if isinstance(table, Int8) else table[ids]
        x += self.params["wpe.weight"][positions]
        return x.reshape(-1, self.config.n_embd)

    def _normed(self, x: Array, norm: _Norm | None) -> Array:
        """LayerNorm of x (N, C); x itself where there is none."""
        if norm is None:
            return x
        out = x - np.add.reduce(x, axis=1, keepdims=True) / x.shape[1]
        variance = np.einsum("nc,nc->n", out, out)[:, None] / x.shape[1]
        out /= np.sqrt(variance + self.config.layer_norm_epsilon)
        out *= norm.weight
        out += norm.bias
        return out

    def _attended(self, layer: int, rows: list[int], qkv: Array) -> Array:
        """Attention of the new tokens qkv (R, T, 3C) over all that the rows hold: (R * T, C)."""
        self._store(layer, rows, qkv)
        count, c = qkv.shape[1], self.config.n_embd
        n_head = self.config.n_head
        queries = split_heads(split_qkv(qkv)[0], n_head)        # (R, H, T, D)
        out = np.empty((len(rows), count, c), qkv.dtype)
        mixed = split_heads(out, n_head)
        keys, values = self.cache.keys[layer], self.cache.values[layer]     # (B, H, S, D)
        starts = self.cache.lengths[rows]
        scale = 1.0 / math.sqrt(self.config.head_size)
        pays = (int(starts.sum()) + len(rows) * count) * c >= KEYS
        cuts = min(n_head, get_threads()) if pays and len(rows) == 1 else 1

        def work(piece: int) -> None:
            i, part = divmod(piece, cuts)
            heads = slice(n_head * part // cuts, n_head * (part + 1) // cuts)
            row, start = rows[i], starts[i]
            seen = slice(0, start + count)
            scores = (queries[i, heads] * scale) @ keys[row, heads, seen].swapaxes(1, 2)
            if count > 1:
                scores[:, :, start:] += _ahead(count, scores.dtype)
            scores -= scores.max(axis=-1, keepdims=True)        # (h, T, start + T)
            np.exp(scores, out=scores)
            sums = scores.sum(axis=-1, keepdims=True)
            np.divide(scores @ values[row, heads, seen], sums, out=mixed[i, heads])

        each(work, len(rows) * cuts, pays)
        return out.reshape(-1, c)


def _ahead(count: int, dtype: Any) -> Array:
    # added to scores: minus infinity where the key lies ahead of the query
    return np.triu(np.full((count, count), -np.inf, dtype), 1)


def _fed_forward(x: Array, here: _Block) -> Array:
    wide = _linear(x, here.wide)                                # (N, F)
    # a gate is bent and multiplied; without one the wide layer itself is bent
    bending = wide if here.gate is None else _linear(x, here.gate)
    bent = np.empty_like(bending)
    here.kernels.forward_into(bending, bent, np.empty((3, *bent.shape), bent.dtype))
    if here.gate is not None:
        bent *= wide
    return _linear(bent, here.wide_out)


def _linear(x: Array, linear: _Linear) -> Array:
    out = linear_product(x, linear.weight)
    if linear.bias is not None:
        out += linear.bias
    return out


def linear_product(x: Array, weight: Any) -> Array:
    """x (N, I) @ weight (I, O), for few rows; the weight an array or Int8. Gives (N, O)."""
    if len(x) == 1 and not isinstance(weight, Int8):
        return np.dot(x, weight)
    values = weight.values if isinstance(weight, Int8) else weight
    n = _pieces(values, len(x))
    sums = np.empty((n, len(x), values.shape[1]), x.dtype)
    out: Array = sums[0]

    def work(i: int) -> None:
        run = slice(len(values) * i // n, len(values) * (i + 1) // n)
        _add_up(x[:, run], values[run], sums[i])

    each(work, n)
    for more in sums[1:]:
        out += more
    if isinstance(weight, Int8):
        out *= weight.scale
    return out


def _pieces(values: Array, tokens: int) -> int:
    # one for each thread if that pays, and none of them empty
    return max(1, min(get_threads(), len(values))) if values.size * tokens >= STREAM else 1


def _add_up(x: Array, values: Array, out: Array) -> None:
    """out = x (N, I) @ values (I, O), by tiles of rows of the values."""
    width = values.shape[1]
    step = _tile_rows(len(x), width, min(TILE_ROWS, SHARED_TILE // width))
    part = np.empty_like(out)
    for start in range(0, len(values), step):
        tile = _ready(values[start:start + step], x.dtype)
        if start == 0:
            np.dot(x[:, :step], tile, out=out)
        else:
            np.dot(x[:, start:start + step], tile, out=part)
            out += part


def _tile_rows(n: int, width: int, most: int) -> int:
    """Rows of a tile for n tokens and rows of `width` weights: for several tokens, `most`."""
    rows = TILE // width if n == 1 else min(most, TILE_WORK // max(1, n * width))
    return max(1, rows)


def table_product(x: Array, table: Any) -> Array:
    """x (N, C) @ table (V, C).T, for few rows; the table an array or Int8. Gives (N, V)."""
    if len(x) == 1 and not isinstance(table, Int8):
        return np.dot(table, x[0])[None]
    values = table.values if isinstance(table, Int8) else table
    n = _pieces(values, len(x))
    out = np.empty((len(values), len(x)), x.dtype)              # (V, N): tiles are rows of it
    columns = x.T

    def work(i: int) -> None:
        start, stop = len(values) * i // n, len(values) * (i + 1) // n
        step = _tile_rows(len(x), values.shape[1], TABLE_ROWS)
        for first in range(start, stop, step):
            run = slice(first, min(first + step, stop))
            np.dot(_ready(values[run], x.dtype), columns, out=out[run])

    each(work, n)
    if isinstance(table, Int8):
        out *= table.scale
    return np.ascontiguousarray(out.T)


def _ready(tile: Array, dtype: Any) -> Array:
    """A tile in the type of the computation, in this thread's own scratch if it must be widened."""
    if tile.dtype == dtype:
        return tile
    wide = _scratch(tile.size, dtype).reshape(tile.shape)
    np.copyto(wide, tile)
    return wide


def _scratch(size: int, dtype: Any) -> Array:
    """`size` numbers of this thread's own, which begin with a cache line."""
    room = getattr(_local, "room", None)
    wanted = size * np.dtype(dtype).itemsize
    if room is None or room.size < wanted:
        raw = np.empty(wanted + LINE, np.uint8)
        start = -raw.ctypes.data % LINE
        room = _local.room = raw[start:start + wanted]
    numbers: Array = room[:wanted].view(dtype)
    return numbers


def _block(params: Mapping[str, Any], layer: int, config: GPT2Config) -> _Block:
    h = f"h.{layer}"

    def linear(name: str) -> _Linear:
        return _Linear(params[f"{h}.{name}.weight"], params.get(f"{h}.{name}.bias"))

    activation = config.activation_function
    gated = activation == "swiglu"
    if activation == "leaky_relu":
        kernels = leaky_kernels(params[f"{h}.mlp.act.slope"])
    else:
        kernels = KERNELS["silu" if gated else activation]
    return _Block(
        _norm(params, f"{h}.ln_1") if config.block_norm else None,
        linear("attn.c_attn"), linear("attn.c_proj"),
        _norm(params, f"{h}.ln_2") if config.block_norm else None,
        linear("mlp.c_gate") if gated else None, linear("mlp.c_fc"), linear("mlp.c_proj"),
        kernels,
    )


def _norm(params: Mapping[str, Any], name: str) -> _Norm:
    return _Norm(params[f"{name}.weight"], params[f"{name}.bias"])
