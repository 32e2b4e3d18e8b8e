"""Log-probabilities of continuations: how probable is a text after a given context?

    scored = score_continuations(params, config, [(context, first), (context, second)])
    scored[0].logprob, scored[0].greedy

A context is read once, and all continuations of it go on from its KV cache. Contexts of about the
same length are read side by side; what stands behind a shorter one is in its future and changes
nothing.
"""

from __future__ import annotations

from typing import Callable, Iterator, Mapping, NamedTuple, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..checked import checked
from ..config import GPT2Config
from ..generation.fast_reader import reader_for
from ..generation.reader import CachedReader
from ..ids import check_ids, check_integer
from ..ops import TEXTBOOK, Ops
from ..params import check_params
from ..suggest import shown
from ..tape import Array

# logits, keys and values of one batch, in bytes
MOST_MEMORY = 2**29


class Continuation(NamedTuple):
    """What one continuation scored."""

    logprob: float
    """Summed over its tokens, in nats."""
    greedy: bool
    """Whether each of its tokens is the model's most probable one."""


class _Family(NamedTuple):
    """A context (T,), and the continuations that follow it, each with its place in the result."""

    context: Array
    members: list[tuple[int, Array]]

    @property
    def width(self) -> int:
        """Tokens of the longest continuation."""
        return max(len(ids) for _, ids in self.members)


@checked
def score_continuations(
    params: Mapping[str, Array], config: GPT2Config,
    pairs: Sequence[tuple[ArrayLike, ArrayLike]], *,
    ops: Ops = TEXTBOOK, batch_size: int = 16,
    on_progress: Callable[[int], object] | None = None,
) -> list[Continuation]:
    """Score each pair of a context (T,) and its continuation (N,), token ids.

        batch_size      continuations read side by side; fewer where they would take much memory
        on_progress     called with the number of pairs scored so far

    Where both exceed n_positions, the oldest context is left out. Raises ValueError for ids outside
    the vocabulary, an empty context or continuation, and a continuation that alone exceeds
    n_positions.
    """
    check_params(config, params)
    check_integer("batch_size", batch_size, 1)
    scored: list[Continuation | None] = [None] * len(pairs)
    done = 0
    for families in _batches(_families(pairs, config), batch_size, config):
        for place, found in _score(params, config, families, ops):
            scored[place] = found
            done += 1
        if on_progress is not None:
            on_progress(done)
    return [found for found in scored if found is not None]


def _families(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]], config: GPT2Config
) -> list[_Family]:
    """Pairs with the same context together, the longest first."""
    families: dict[bytes, _Family] = {}
    for place, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"pair {place + 1}: expected a context and a continuation, got "
                             f"{shown(pair)}")
        context, ids = (
            _ids(given, config, f"{what} {place + 1}")
            for given, what in zip(pair, ("context", "continuation")))
        if len(ids) > config.n_positions:
            raise ValueError(f"continuation {place + 1}: {len(ids)} tokens exceed the context of "
                             f"{config.n_positions}")
        # the last token of all is predicted, not read
        context = context[-(config.n_positions + 1 - len(ids)):]
        family = families.setdefault(context.tobytes(), _Family(context, []))
        family.members.append((place, ids))
    return sorted(families.values(), key=lambda f: -len(f.context) - f.width)


def _ids(given: ArrayLike, config: GPT2Config, what: str) -> Array:
    ids = check_ids(given, config.vocab_size, what)
    if ids.ndim != 1:
        raise ValueError(f"{what}: expected ids of shape (T,), got {ids.shape}")
    return ids


def _batches(
    families: list[_Family], size: int, config: GPT2Config
) -> Iterator[list[_Family]]:
    """Families to read side by side: at most `size` rows, all of which fit into the context."""
    batch: list[_Family] = []
    for family in families:
        for start in range(0, len(family.members), size):
            part = _Family(family.context, family.members[start:start + size])
            if batch and not _fits([*batch, part], size, config):
                yield batch
                batch = []
            batch.append(part)
    if batch:
        yield batch


def _fits(batch: list[_Family], size: int, config: GPT2Config) -> bool:
    rows = sum(len(family.members) for family in batch)
    capacity, width = _capacity(batch), max(family.width for family in batch)
    row = 8 * (width * config.vocab_size + 2 * config.n_layer * config.n_embd * capacity)
    return rows <= size and capacity <= config.n_positions and rows * row <= MOST_MEMORY


def _capacity(batch: list[_Family]) -> int:
    # the last token of a context is read with the continuation: it predicts its first token
    return max(len(f.context) for f in batch) - 1 + max(f.width for f in batch)


def _score(
    params: Mapping[str, Array], config: GPT2Config, batch: list[_Family], ops: Ops
) -> Iterator[tuple[int, Continuation]]:
    """The place and score of every member, from two passes: the contexts, then what follows."""
    rows = [(family, place, ids) for family in batch for place, ids in family.members]
    reader = reader_for(ops)(params, config, len(rows), _capacity(batch))
    _read_contexts(reader, batch)
    read = np.zeros((len(rows), max(family.width for family in batch)), np.int64)
    for row, (family, _, ids) in zip(read, rows):
        row[:len(ids)] = [family.context[-1], *ids[:-1]]
    logits = reader.read(range(len(rows)), read, keep=read.shape[1])        # (R, N, V)
    for scores, (_, place, ids) in zip(logits, rows):
        scores = scores[:len(ids)].astype(np.float64)
        top = scores.max(axis=-1)
        totals = np.log(np.exp(scores - top[:, None]).sum(axis=-1)) + top
        chosen = scores[np.arange(len(ids)), ids]
        yield place, Continuation(float((chosen - totals).sum()),
                                  bool((scores.argmax(axis=-1) == ids).all()))


def _read_contexts(reader: CachedReader, batch: list[_Family]) -> None:
    """Read all but the last token of each context, once, into the rows of all its members."""
    sizes = [len(family.members) for family in batch]
    firsts = [sum(sizes[:i]) for i in range(len(batch))]
    lengths = [len(family.context) - 1 for family in batch]
    read = np.zeros((len(batch), max(lengths)), np.int64)
    if not read.size:
        return
    for row, family, length in zip(read, batch, lengths):
        row[:length] = family.context[:-1]
    reader.read(firsts, read, keep=0)
    for first, size, length in zip(firsts, sizes, lengths):
        reader.cut(first, length)
        for sibling in range(first + 1, first + size):
            reader.copy(first, sibling)
