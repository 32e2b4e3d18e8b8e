"""BPE and windows of a text, with the mistakes that people make in them.

Each is written once; `wrong` names the mistakes to make, program_mistakes.toml what they are.
"""

from __future__ import annotations

import inspect
from collections import Counter

import numpy as np

from ...arrays import Array
from .program import RIGHT, Function, Inputs, Settings, Value, Wrong, accepted, pick

Pair = tuple[bytes, bytes]


def _merged(tokens: list[bytes], pair: Pair, only_first: bool = False) -> list[bytes]:
    """`pair` joined wherever it stands, or only at the first place, from the left."""
    out: list[bytes] = []
    n = 0
    while n < len(tokens):
        hit = tuple(tokens[n:n + 2]) == pair and not (only_first and len(out) < n)
        out.append(tokens[n] + tokens[n + 1] if hit else tokens[n])
        n += 2 if hit else 1
    return out


def _symbols(text: bytes, wrong: Wrong) -> list[bytes]:
    if "characters-for-bytes" in wrong:
        return [char.encode() for char in text.decode()]
    return [bytes([byte]) for byte in text]


def bpe_encode(text: bytes, merges: list[Pair], *, wrong: Wrong = RIGHT) -> list[bytes]:
    """The tokens of a piece of text: the pair of the lowest rank is merged, until none is left."""
    rank = {pair: n for n, pair in enumerate(merges)}
    tokens = _symbols(text, wrong)
    if "nothing-merged" in wrong:
        return tokens
    if "longest-match" in wrong:
        known = {left + right for left, right in merges} | {*tokens}
        out: list[bytes] = []
        while text:
            size = max(n for n in range(1, len(text) + 1) if text[:n] in known)
            out, text = [*out, text[:size]], text[size:]
        return out
    if "merges-once-through" in wrong:      # backwards, or the first place of each alone
        once = wrong["merges-once-through"] == 2
        for pair in merges if once else merges[::-1]:
            tokens = _merged(tokens, pair, once)
        return tokens
    while pairs := [pair for pair in zip(tokens, tokens[1:], strict=False) if pair in rank]:
        best = pick(wrong, min(pairs, key=rank.__getitem__), {
            "merges-left-to-right": pairs[0],
            "highest-rank-first": max(pairs, key=rank.__getitem__),
            "merges-by-frequency": Counter(pairs).most_common(1)[0][0]})
        if "merged-right-to-left" in wrong:
            back = _merged([t[::-1] for t in tokens[::-1]], (best[1][::-1], best[0][::-1]))
            tokens = [t[::-1] for t in back[::-1]]
        else:
            tokens = _merged(tokens, best, wrong.get("merges-left-to-right") == 2)
        if "one-pair-only" in wrong:
            break
    return tokens


def bpe_train(text: bytes, count: int, *, wrong: Wrong = RIGHT) -> Value:
    """The first `count` merges of a text: the most frequent pair; of equals, the first in it."""
    tokens = _symbols(text, wrong)
    merges: list[Pair] = []
    count -= "one-merge-less" in wrong
    while len(merges) < count and len(tokens) > 1:
        pairs = [*zip(tokens, tokens[1:], strict=False)]
        if "cut-at-spaces" in wrong:        # with the space before the word, or without spaces
            pairs = [(a, b) for a, b in pairs if not b.startswith(b" ") and (
                wrong["cut-at-spaces"] == 1 or not a.startswith(b" "))]
            if not pairs:
                break
        if "overlaps-not-counted" in wrong:
            kept: list[Pair] = []
            for n, pair in enumerate(pairs):
                # the second of two that overlap does not count, the third does
                kept.append(pair if not (n and pairs[n - 1] == pair == kept[-1]) else (b"", b""))
            pairs = [pair for pair in kept if pair[0]]
        counted = Counter(pairs)
        if "by-counts-at-start" in wrong:
            return [pair for pair, _ in counted.most_common(count)]
        most = max(counted.values())
        equal = [pair for pair in counted if counted[pair] == most]
        best = pick(wrong, equal[0], {
            "ties-by-largest": max(equal), "ties-by-smallest": min(equal),
            "ties-by-last": equal[-1], "pairs-not-counted": pairs[0],
            "least-frequent": min(counted, key=counted.__getitem__)})
        merges.append((best[1], best[0]) if "pair-reversed" in wrong else best)
        if "text-not-merged" not in wrong:
            tokens = _merged(tokens, best, "first-place-only" in wrong)
    return [a + b for a, b in merges] if "tokens-for-merges" in wrong else merges


def windows(ids: Array, *, length: int, wrong: Wrong = RIGHT) -> tuple[Array, Array]:
    """Inputs and targets (N, length) of a text's ids, without overlap; targets are one further."""
    shift = pick(wrong, 1, {"targets-not-shifted": 0, "targets-shifted-twice": 2,
                            "targets-are-previous": -1})
    twice = wrong.get("targets-shifted-twice", 1)       # the last target repeated, 0, or no window
    first = 1 if "first-token-lost" in wrong else 0
    stride = pick(wrong, length, {
        "windows-one-apart": length + 1,
        "windows-overlap": 1 if wrong.get("windows-overlap") == 1 else length // 2})
    end = len(ids) - length - first - (shift - 1 if twice == 3 or first else 0)
    starts = first + np.arange(0, end, stride)
    if "window-one-short" in wrong:
        starts = starts[:-1]
    rows = starts[:, None] + np.arange(length + ("window-not-cut" in wrong))
    if "window-padded" in wrong:
        rows = np.arange(-(-(len(ids) - 1) // length))[:, None] * length + np.arange(length)
    if twice == 2 or "window-padded" in wrong:
        ids = np.append(ids, np.zeros(2 * length, ids.dtype))
    if "windows-by-column" in wrong:
        rows = rows.reshape(rows.shape[::-1]).T
    both = ids[rows], ids[np.clip(rows + shift, 0, len(ids) - 1)]
    if "targets-wrap-around" in wrong:
        both = both[0], np.roll(both[0], -1, 1)
    if "window-not-cut" in wrong:
        both = both[0], both[0]
    return both[::-1] if "inputs-and-targets-swapped" in wrong else both


def run_windows(function: Function, inputs: Inputs, settings: Settings) -> Value:
    """Inputs and targets, which may come as a pair for each window, in a list or a generator."""
    out = function(*inputs, **accepted(function, settings))
    out = [*out] if inspect.isgenerator(out) else out
    # a list of two lists is taken for all inputs and all targets
    kinds = (tuple,) if isinstance(out, list) and len(out) == 2 else (tuple, list)
    if not isinstance(out, list) or not out or not all(
            isinstance(pair, kinds) and len(pair) == 2 and all(map(_is_row, pair)) for pair in out):
        return out
    if len({len(row) for pair in out for row in pair}) > 1:
        return out      # windows of different lengths
    x, y = zip(*out, strict=True)
    return np.array(x), np.array(y)


def _is_row(part: Value) -> bool:
    return part.ndim == 1 if isinstance(part, np.ndarray) else (
        isinstance(part, list) and not any(isinstance(one, (list, tuple)) for one in part))
