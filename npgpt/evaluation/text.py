"""How well a model predicts text: loss, perplexity, bits per byte.

A text longer than the context is read in windows of `window` tokens that start `stride` apart. Each
token is scored once, in the first window that holds it: after the first window that is the last
`stride` tokens of each, which see at least window - stride tokens before them. A smaller stride
gives more context, costs more, and gives a lower loss; stride = window costs least.

    loss             mean of -log p(token | tokens before it in its window), in nats
    perplexity       exp(loss)
    bits per byte    total of -log2 p of text over its bytes: comparable across tokenizers

Bits and bytes are those of the scored tokens. A special token such as <|endoftext|>, which stands
for no text, counts in neither, nor does a first token that is context only; in the loss and the
perplexity special tokens count as any other, as in training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Callable, Iterable, Iterator, Mapping, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..checked import checked
from ..config import GPT2Config
from ..fast.ops import blas_of
from ..ids import check_ids, check_integer, check_integers
from ..layers.cross_entropy import IGNORE
from ..machine.ranks import Ranks
from ..machine.threads import each
from ..model import head_weight, hidden
from ..ops import TEXTBOOK, Ops
from ..params import check_params
from ..tape import Array

# windows side by side: none has so many
MOST = 2**31 - 1


class Stopped(Exception):
    """An evaluation was asked to stop before it had seen all of the text."""


@dataclass(frozen=True)
class TextScore:
    """What `score_text` found."""

    nats: float
    """Total of -log p over the scored tokens."""
    tokens: int
    """How many tokens were scored."""
    special_nats: float = 0.0
    """What of `nats` belongs to special tokens."""
    n_bytes: int = 0
    """UTF-8 bytes of the text that the scored tokens stand for."""

    @property
    def loss(self) -> float:
        """Mean loss per token in nats."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(loss); infinity where that overflows."""
        return math.exp(self.loss) if self.loss < 709.0 else math.inf

    @property
    def bits_per_byte(self) -> float:
        """Bits of the scored text over its bytes; ValueError where no bytes were counted."""
        if self.n_bytes < 1:
            raise ValueError("no bytes of text were scored; give score_text the tokenizer's "
                             "token_bytes")
        return (self.nats - self.special_nats) / math.log(2.0) / self.n_bytes


def mean_loss(
    params: Mapping[str, Array], config: GPT2Config, batches: Iterable[tuple[Array, Array]], *,
    ops: Ops, workers: int = 1, ranks: Ranks | None = None,
    on_batch: Callable[[int], bool] | None = None,
) -> float:
    """Mean cross-entropy in nats over every target of the batches, without dropout.

        batches         of (ids, targets), (B, T) each; or targets (B, N) of the last N positions
        workers         batches at a time, each on a thread of its own; best for small models
        ranks           those that share the work; all are called with the same batches
        on_batch        called with the number of targets seen so far; True stops, with Stopped

    Targets of -100 are not counted. Raises ValueError if there are no targets.
    """
    score = TextScore(0.0, 0)
    for score in _totals(params, config, batches, ops, workers, ranks=ranks):
        if on_batch is not None and on_batch(score.tokens):
            raise Stopped
    if score.tokens == 0:
        raise ValueError("no batches to evaluate on: the text is shorter than one sequence")
    return score.loss


@checked
def score_text(
    params: Mapping[str, Array], config: GPT2Config, ids: ArrayLike, *,
    window: int | None = None, stride: int | None = None, start_id: int | None = None,
    token_bytes: ArrayLike | None = None,
    batch_size: int = 1, workers: int = 1, ops: Ops = TEXTBOOK,
    on_progress: Callable[[int, int], object] | None = None,
) -> TextScore:
    """Score a text of ids (N,), memory-mapped or not.

        window          tokens read at once; n_positions by default
        stride          how far a window moves; `window` by default
        start_id        a token to put before the text, such as GPT-2's 50256; without it the first
                        token is context only, and N - 1 tokens are scored
        token_bytes     (V,) bytes that each token stands for, a Tokenizer's token_bytes, for the
                        bits per byte; 0 marks a special token
        batch_size      windows read side by side
        workers         batches at a time, each on a thread of its own; best for small models
        on_progress     called with tokens scored so far, and in all

    Raises ValueError for fewer than two tokens, ids outside the vocabulary, and invalid settings.
    """
    width = config.n_positions if window is None else window
    step = width if stride is None else stride
    check_integer("window", width, 1, config.n_positions)
    check_integer("stride", step, 1, width)
    check_integer("batch_size", batch_size, 1, MOST)
    check_integer("workers", workers, 1, MOST)
    check_params(config, params)
    ids = check_integers(ids, "ids")
    if ids.ndim != 1:
        raise ValueError(f"a text has ids of shape (N,); got {ids.shape}")
    sizes = None if token_bytes is None else check_integers(token_bytes, "token_bytes")
    if sizes is not None and (sizes.shape != (config.vocab_size,) or (sizes < 0).any()):
        raise ValueError(f"token_bytes must be ({config.vocab_size},), of at least 0; got "
                         f"{sizes.shape}")
    start = np.zeros(0, np.int64)
    if start_id is not None:
        start = check_ids([start_id], config.vocab_size, "start_id")
    count = len(start) + len(ids) - 1
    if count < 1:
        raise ValueError(f"a text of {len(ids)} tokens has none to predict; at least 2 are needed")

    def read(begin: int, end: int) -> Array:
        # of start + ids, without joining them: ids may be a memory map larger than memory
        shift = len(start)
        part = ids[max(0, begin - shift):end - shift]
        return np.concatenate([start[begin:end], check_ids(part, config.vocab_size)])

    batches = _batches(read, _windows(count, width, step), batch_size)
    score = TextScore(0.0, 0)
    for score in _totals(params, config, batches, ops, workers, sizes):
        if on_progress is not None:
            on_progress(score.tokens, count)
    return score


def evaluation_batches(
    tokens: Array, batch_size: int, length: int, n_batches: int = 0
) -> Iterator[tuple[Array, Array]]:
    """ids and targets of windows that lie end to end over tokens (N,), (batch_size, length) each.

    Every target is seen once, the last few in a shorter window. With n_batches > 0, that many
    batches of whole windows spread evenly over the text. Of examples (N, 2, T) likewise, see
    `trimmed`.
    """
    if tokens.ndim == 3:
        step = max(batch_size, len(tokens) // n_batches if n_batches else 0)
        yield from (trimmed(tokens[start:start + batch_size])
                    for start in range(0, len(tokens), step))
        return
    windows = _windows(len(tokens) - 1, length, length)
    if n_batches > 0:
        whole = [window for window in windows if window.end - window.begin == length]
        wanted = n_batches * batch_size
        if wanted < len(whole):
            whole = [whole[int(i)] for i in np.linspace(0, len(whole) - 1, wanted)]
        windows = iter(whole)
    # int64 from here on: the corpus is uint16 on disk
    yield from _batches(lambda begin, end: tokens[begin:end].astype(np.int64), windows, batch_size)


def count_targets(tokens: Array) -> int:
    """How many targets all of `evaluation_batches` have, of tokens (N,) or examples (N, 2, T)."""
    return int((tokens[:, 1] != IGNORE).sum()) if tokens.ndim == 3 else len(tokens) - 1


def trimmed(examples: Array) -> tuple[Array, Array]:
    """ids and targets (N, T) of examples (N, 2, T), without what follows the last target of all."""
    used = np.flatnonzero((examples[:, 1] != IGNORE).any(axis=0))
    width = int(used[-1]) + 1 if len(used) else 1
    return examples[:, 0, :width], examples[:, 1, :width]


def _totals(
    params: Mapping[str, Array], config: GPT2Config, batches: Iterable[tuple[Array, Array]],
    ops: Ops, workers: int, token_bytes: Array | None = None, ranks: Ranks | None = None,
) -> Iterator[TextScore]:
    """The score of all targets so far, after every `workers` batches of each rank."""
    score = TextScore(0.0, 0)
    waiting = iter(batches)
    rank, size = (ranks.rank, ranks.size) if ranks else (0, 1)
    while whole := list(islice(waiting, workers * size)):
        group = whole[rank::size]
        found = [score] * len(group)

        def work(i: int) -> None:
            ids, targets = group[i]
            with blas_of(ops, config, ids.size):
                x = hidden(params, ids, config, ops=ops)        # (B, T, C)
                found[i] = _score(ops, x[:, -targets.shape[1]:], head_weight(params, config),
                                  targets, token_bytes)

        each(work, len(group))
        # in the order of the batches, so that the sum has the bits of one process
        every = ranks.all(found) if ranks else [found]
        for one in (every[i % size][i // size] for i in range(len(whole))):
            score = TextScore(score.nats + one.nats, score.tokens + one.tokens,
                              score.special_nats + one.special_nats, score.n_bytes + one.n_bytes)
        yield score


def _score(
    ops: Ops, x: Array, head: Array, targets: Array, token_bytes: Array | None
) -> TextScore:
    """The score of targets (B, N) predicted from x (B, N, C)."""

    def nats(x: Array, targets: Array) -> tuple[float, int]:
        count = int(np.count_nonzero(targets != IGNORE))
        x, targets = np.ascontiguousarray(x), np.ascontiguousarray(targets)
        return float(ops.linear_cross_entropy(x, head, targets)) * count, count

    total, count = nats(x, targets)
    if token_bytes is None:
        return TextScore(total, count)
    sizes = token_bytes[targets]
    special = sizes == 0
    apart = nats(x[special][None], targets[special][None])[0] if special.any() else 0.0
    return TextScore(total, count, apart, int(sizes.sum()))


class _Window(NamedTuple):
    """Predictions begin .. end are read together, and the last `new` of them are scored."""

    begin: int
    end: int
    new: int


def _windows(count: int, width: int, step: int) -> Iterator[_Window]:
    """The windows over `count` predictions; each is scored once."""
    scored = begin = 0
    while scored < count:
        end = min(begin + width, count)
        yield _Window(begin, end, end - scored)
        scored = end
        begin += step


def _batches(
    read: Callable[[int, int], Array], windows: Iterable[_Window], size: int
) -> Iterator[tuple[Array, Array]]:
    """(ids, targets) of neighbouring windows of one shape, up to `size` of them side by side."""

    def shape(window: _Window) -> tuple[int, int]:
        return window.end - window.begin, window.new

    for (_, new), alike in groupby(windows, shape):
        while group := list(islice(alike, size)):
            tokens = np.stack([read(window.begin, window.end + 1) for window in group])
            yield tokens[:, :-1], tokens[:, -new:]
