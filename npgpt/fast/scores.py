"""How the scores of attention are cut: stacks of heads, blocks of queries, and what a query sees.

A stack is some heads of some batch rows, few enough that the scores of one block of queries stay in
a core's cache. A block of queries meets the keys up to its own end only: no T x T matrix stands in
memory, and little of the masked half is computed. The cut follows from the sizes alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..layers.contract import Array

# queries in a block, and scores in a stack: both fit a second-level cache
QUERIES = 128
STACK = 2**17
# from this many keys on a block has twice the queries: fewer, longer calls (at T 1024 12 % less
# time on two threads), for a little more of the masked half; and its keys come span by span, so
# that a tile of scores stays in a second-level cache of 1 MB however long the context is
LONG = 768
KEYS = 512


class Stack(NamedTuple):
    """The part of (B, H) that is worked on at once."""

    rows: slice
    heads: slice


def cut_stacks(b: int, h: int, t: int, s: int) -> list[Stack]:
    """The stacks of (B, H), for T queries and S keys: each part in exactly one of them."""
    if 0 in (b, h):
        return []
    scores = max(1, min(t, _queries(s)) * s)
    heads = min(h, max(1, STACK // scores))
    rows = max(1, STACK // (scores * h)) if heads == h else 1
    return [
        Stack(slice(i, min(i + rows, b)), slice(j, min(j + heads, h)))
        for i in range(0, b, rows) for j in range(0, h, heads)
    ]


def cut_blocks(t: int, s: int) -> list[tuple[int, int, int]]:
    """Each block's first query, the end of its queries, and the end of the keys they see."""
    step = _queries(s)
    return [(a, min(a + step, t), s - t + min(a + step, t)) for a in range(0, t, step)]


def cut_keys(queries: int, seen: int, s: int) -> list[slice]:
    """The spans of keys 0 .. seen that a block of queries meets one after the other, of s keys.

    Only the last one has keys that lie ahead of a query: its last `queries` columns.
    """
    ends = range(KEYS, seen - queries + 1, KEYS) if s >= LONG else range(0)
    borders = [0, *ends, seen]
    return [slice(a, b) for a, b in zip(borders, borders[1:])]


def _queries(s: int) -> int:
    return QUERIES if s < LONG else 2 * QUERIES


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
