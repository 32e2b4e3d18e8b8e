"""Learning a byte-level BPE vocabulary from a text.

    words = Counter({b"low": 5, b" lower": 2, b" newest": 6})
    learn_merges(words, 3)              # [(b"w", b"e"), ...]

A text is cut into pieces as it will be to encode it, and only the different pieces matter, each
with how often it stands there. Every piece begins as single bytes. The most frequent pair of
neighbours in all pieces becomes a token, is merged in every piece, and that is done again: the
order of the merges is the vocabulary. Only the pieces that hold a pair change with it, and of their
pairs those at a merge: 1,024 ids of 10 MB of Python code take 3 seconds, of 9 MB with a fifth
of Japanese and Greek, whose pieces are longer, 7.

Source: Sennrich, Haddow, Birch 2016, arXiv 1508.07909, algorithm 1; Radford et al. 2019, 2.2
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from typing import Iterable, Mapping

from ..ids import check_integer
from .vocabulary import BYTES, END_OF_TEXT, PATTERN, Added, Vocabulary

FEWEST_IDS, MOST_IDS = 257, 65_536      # the bytes and the end of a text; what uint16 holds

Pair = tuple[bytes, bytes]


def learn_vocabulary(texts: Iterable[str], size: int) -> Vocabulary:
    """A vocabulary of at most `size` ids: the bytes, merges learned from texts, the end of a text.

    A text may be a part of a document, if it ends where a piece does. Raises ValueError for a size
    that is not from 257 to 65,536.
    """
    check_integer("size", size, FEWEST_IDS, MOST_IDS)
    merges = learn_merges(count_pieces(texts), size - FEWEST_IDS)
    tokens = [*BYTES, *(left + right for left, right in merges)]
    ids = {token: i for i, token in enumerate(tokens)}
    return Vocabulary(tuple(merges), ids, (Added(END_OF_TEXT, len(ids)),), END_OF_TEXT)


def count_pieces(texts: Iterable[str]) -> Counter[bytes]:
    """How often each piece stands in the texts, as UTF-8."""
    import regex

    pieces: Counter[str] = Counter()
    for text in texts:
        pieces.update(regex.findall(PATTERN, text))
    return Counter({piece.encode("utf-8"): n for piece, n in pieces.items()})


def learn_merges(pieces: Mapping[bytes, int], n_merges: int) -> list[Pair]:
    """The most frequent pair, again and again; fewer than n_merges where no pair stands twice.

    Of equally frequent pairs the first in the order of their bytes is taken.
    """
    counts: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[int]] = defaultdict(set)     # the pieces that a pair stands in
    parts = [[bytes([byte]) for byte in piece] for piece in pieces]
    times = list(pieces.values())
    for i, tokens in enumerate(parts):
        for pair in zip(tokens, tokens[1:]):
            counts[pair] += times[i]
            holders[pair].add(i)
    queue = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(queue)

    merges: list[Pair] = []
    while queue and len(merges) < n_merges:
        count, pair = heapq.heappop(queue)
        if -count != counts[pair]:      # it has become rarer meanwhile: back into the queue
            heapq.heappush(queue, (-counts[pair], pair))
            continue
        if -count < 2:
            break
        merges.append(pair)
        fresh: set[Pair] = set()
        for i in holders.pop(pair):
            parts[i], changes = merged(parts[i], pair)
            for changed, n in changes:
                counts[changed] += n * times[i]
                if n > 0:
                    holders[changed].add(i)
                    fresh.add(changed)
        for there in fresh:
            heapq.heappush(queue, (-counts[there], there))
    return merges


def merged(tokens: list[bytes], pair: Pair) -> tuple[list[bytes], list[tuple[Pair, int]]]:
    """The tokens with every such pair of neighbours as one, from the left, and what that changes.

    The changes are the pairs that go (-1) and come (1), which meet at a merge: to count all pairs
    of a piece again takes long where a script has no spaces.
    """
    left, right = pair
    result: list[bytes] = []
    changes: list[tuple[Pair, int]] = []
    for i, token in enumerate(tokens):
        if token != right or not result or result[-1] != left:
            result.append(token)
            continue
        result[-1] = both = left + right
        changes.append((pair, -1))
        for before in result[-2:-1]:
            changes += [((before, left), -1), ((before, both), 1)]
        for after in tokens[i + 1:i + 2]:
            changes += [((right, after), -1), ((both, after), 1)]
    return result, changes
