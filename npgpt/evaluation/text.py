"""How well a model predicts text: loss, perplexity, bits per byte.

A text longer than the context is read in windows of `window` tokens that start `stride` apart. Each
token is scored once, in the first window that holds it: after the first window that is the last
`stride` tokens of each, which see at least window - stride tokens before them. A smaller stride
gives more context, costs more, and gives a lower loss; stride = window costs least.

    loss             mean of -log p(token | tokens before it in its window), in nats
    perplexity       exp(loss)
    bits per byte    total of -log2 p over the bytes of the text: comparable across tokenizers
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
from ..ids import check_ids, check_integer, check_integers
from ..layers.cross_entropy import IGNORE
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

    @property
    def loss(self) -> float:
        """Mean loss per token in nats."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(loss); infinity where that overflows."""
        return math.exp(self.loss) if self.loss < 709.0 else math.inf

    def bits_per_byte(self, n_bytes: int) -> float:
        """Total bits over the UTF-8 bytes of the scored tokens; ValueError unless n_bytes > 0."""
        if n_bytes < 1:
            raise ValueError(f"n_bytes={n_bytes} must be the number of bytes of the scored text")
        return self.nats / math.log(2.0) / n_bytes


def mean_loss(
    params: Mapping[str, Array], config: GPT2Config, batches: Iterable[tuple[Array, Array]], *,
    ops: Ops, workers: int = 1,
    on_batch: Callable[[int], bool] | None = None,
) -> float:
    """Mean cross-entropy in nats over every target of the batches, without dropout.

        batches         of (ids, targets), (B, T) each; or targets (B, N) of the last N positions
        workers         batches at a time, each on a thread of its own; best for small models
        on_batch        called with the number of targets seen so far; True stops, with Stopped

    Targets of -100 are not counted. Raises ValueError if there are no targets.
    """
    total, count = 0.0, 0
    for total, count in _totals(params, config, batches, ops, workers):
        if on_batch is not None and on_batch(count):
            raise Stopped
    if count == 0:
        raise ValueError("no batches to evaluate on: the text is shorter than one sequence")
    return total / count


@checked
def score_text(
    params: Mapping[str, Array], config: GPT2Config, ids: ArrayLike, *,
    window: int | None = None, stride: int | None = None, start_id: int | None = None,
    batch_size: int = 1, workers: int = 1, ops: Ops = TEXTBOOK,
    on_progress: Callable[[int, int], object] | None = None,
) -> TextScore:
    """Score a text of ids (N,), memory-mapped or not.

        window          tokens read at once; n_positions by default
        stride          how far a window moves; `window` by default
        start_id        a token to put before the text, such as GPT-2's 50256; without it the first
                        token is context only, and N - 1 tokens are scored
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
    nats = 0.0
    for nats, done in _totals(params, config, batches, ops, workers):
        if on_progress is not None:
            on_progress(done, count)
    return TextScore(nats, count)


def evaluation_batches(
    tokens: Array, batch_size: int, length: int, n_batches: int = 0
) -> Iterator[tuple[Array, Array]]:
    """ids and targets of windows that lie end to end over tokens (N,), (batch_size, length) each.

    Every target is seen once, the last few in a shorter window. With n_batches > 0, that many
    batches of whole windows spread evenly over the text.
    """
    windows = _windows(len(tokens) - 1, length, length)
    if n_batches > 0:
        whole = [window for window in windows if window.end - window.begin == length]
        wanted = n_batches * batch_size
        if wanted < len(whole):
            whole = [whole[int(i)] for i in np.linspace(0, len(whole) - 1, wanted)]
        windows = iter(whole)
    # int64 from here on: the corpus is uint16 on disk
    yield from _batches(lambda begin, end: tokens[begin:end].astype(np.int64), windows, batch_size)


def _totals(
    params: Mapping[str, Array], config: GPT2Config, batches: Iterable[tuple[Array, Array]],
    ops: Ops, workers: int,
) -> Iterator[tuple[float, int]]:
    """Nats of all targets so far, and their number: after every `workers` batches."""
    nats, count = 0.0, 0
    waiting = iter(batches)
    while group := list(islice(waiting, workers)):
        losses = [0.0] * len(group)

        def work(i: int) -> None:
            ids, targets = group[i]
            x = hidden(params, ids, config, ops=ops)            # (B, T, C)
            scored = np.ascontiguousarray(x[:, -targets.shape[1]:])
            losses[i] = float(ops.linear_cross_entropy(
                scored, head_weight(params, config), np.ascontiguousarray(targets)))

        each(work, len(group))
        for loss, (_, targets) in zip(losses, group):
            counted = int(np.count_nonzero(targets != IGNORE))
            nats += loss * counted
            count += counted
        yield nats, count


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
