"""How the scores of attention are cut: stacks of heads, blocks of queries, and what a query sees.

A stack is some heads of some batch rows, few enough that the scores of one block of queries stay in
a core's cache. A block of queries meets the keys up to its own end only, and at long context a span
of them at a time: no T x T matrix stands in memory, and little of the masked half is computed. The
cut follows from the sizes alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..layers.contract import Array

# queries in a block, and scores in a stack: both fit a second-level cache
QUERIES = 128
STACK = 2**17
# from this many keys on blocks are tall and meet their keys in spans, of at least NARROW: tiles of
# scores as large as a stack, however long the context is. At T 8192 on one core backward took 8.1
# ns a score in tiles of 1024 x 128, 8.7 of 256 x 512 and 10.0 of 256 x 4096
LONG = 768
TALL, NARROW = 1024, 128


class Stack(NamedTuple):
    """The part of (B, H) that is worked on at once."""

    rows: slice
    heads: slice


class Span(NamedTuple):
    """Some keys, the first query of the block that sees one, and how many of the keys it sees."""

    keys: slice
    first: int
    before: int


def cut_stacks(b: int, h: int, t: int, s: int, tall: int = TALL) -> list[Stack]:
    """The stacks of (B, H), for T queries and S keys: each part in exactly one of them."""
    if 0 in (b, h):
        return []
    scores = max(1, min(t, _queries(s, tall)) * s)
    heads = min(h, max(1, STACK // scores))
    rows = max(1, STACK // (scores * h)) if heads == h else 1
    return [
        Stack(slice(i, min(i + rows, b)), slice(j, min(j + heads, h)))
        for i in range(0, b, rows) for j in range(0, h, heads)
    ]


def cut_blocks(t: int, s: int, tall: int = TALL) -> list[tuple[int, int, int]]:
    """Each block's first query, the end of its queries, and the end of the keys they see.

    `tall` is for whoever takes all keys at once: the queries of a block at long context.
    """
    step = _queries(s, tall)
    return [(a, min(a + step, t), s - t + min(a + step, t)) for a in range(0, t, step)]


def cut_keys(queries: int, seen: int, s: int) -> list[Span]:
    """The spans of the keys 0 .. seen that a block of queries meets one after the other, of s keys.

    Query i of the block sees keys 0 .. seen - queries + i.
    """
    step = max(NARROW, STACK // queries // 64 * 64)
    if s < LONG or seen <= step:
        return [Span(slice(0, seen), 0, seen - queries)]
    diagonal = seen - queries
    visible = [Span(slice(a, min(a + step, diagonal)), 0, min(step, diagonal - a))
               for a in range(0, diagonal, step)]
    return visible + [Span(slice(a, min(a + step, seen)), a - diagonal, 0)
                      for a in range(diagonal, seen, step)]


def _queries(s: int, tall: int) -> int:
    return QUERIES if s < LONG else tall


def visible_maximum(scores: Array, offset: int) -> Array:
    """The largest score (b, h, n, 1) of each query's visible keys, of scores (b, h, n, m).

    Query i of a block sees keys 0 .. offset + i: only the n columns at the end have keys ahead.
    """
    end = np.where(ahead(scores.shape[2]), -np.inf, scores[..., offset:])
    maximum: Array = end.max(axis=-1, keepdims=True)
    if offset:
        np.maximum(maximum, scores[..., :offset].max(axis=-1, keepdims=True), out=maximum)
    return maximum


@lru_cache(maxsize=8)
def ahead(n: int) -> Array:
    """Whether key j, of the last n, lies ahead of query i: j > i, (n, n), not to be written to."""
    return ~np.tri(n, dtype=bool)
