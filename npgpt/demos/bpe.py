"""Byte-pair encoding: a text's pieces, the merges within each, and where merges come from."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

import regex

from ..display import drawing
from ..display.grids import fit, visible, width_of
from ..display.terminal import WIDTH, bar, page, tint, wrapped
from ..ids import check_integer
from ..text.bpe import PATTERN, BPETokenizer, mergeable_ranks
from ..text.tokenizer import check_text

TEXT = "a naïve tokenizer's tokens"
CAPTION = """A model reads numbers, so text is cut into tokens. Characters make texts long, and
    words would leave every new word without a number. Byte-pair encoding lies between: it begins
    with bytes, of which there are 256, and joins neighbours that often stand side by side. Common
    words become one token, rare words a few, and nothing is ever unknown."""
TRAINED = """Where the table comes from: count all neighbouring pairs in a large text, join the most
    frequent one everywhere, write it down, and begin again; GPT-2 did that 50,000 times. A rank is
    a token's number: 0 to 255 are the bytes, 256 is the first join, and low ranks are frequent
    pairs. Here is the same on your text alone; of equally frequent pairs, the earliest:"""
# more than these are counted, not shown
MOST_PIECES, MOST_BYTES = 12, 40

Merge = tuple[bytes, bytes, int]
"""Left and right half, and the rank in GPT-2's table or, in training, the count."""


@dataclass(frozen=True)
class Piece:
    """One piece of the text: no merge crosses its ends."""

    text: str
    steps: list[list[bytes]]
    """Its parts: single bytes first, then after each merge."""
    merges: list[Merge]
    """One fewer than `steps`."""
    ids: list[int]


@dataclass(frozen=True)
class Encoding:
    """A text's way to its ids."""

    text: str
    pieces: list[Piece]
    trained: list[Merge]
    """Merges as a new table would begin, learnt from this text alone."""

    @property
    def ids(self) -> list[int]:
        """The ids of the whole text."""
        return [token for piece in self.pieces for token in piece.ids]


def bpe_demo(text: str = TEXT, merges: int = 6) -> Encoding:
    """Encode a text by GPT-2's table, merge by merge; and learn `merges` merges from it.

    Raises ValueError for an empty text or one with lone surrogates, and one of which a piece has
    more than 1,000 bytes.
    """
    check_integer("merges", merges, 0, 1000)
    if not check_text(text):
        raise ValueError("the text is empty; give at least one character")
    ranks = _ranks()
    pieces = [found[0] for found in regex.finditer(PATTERN, text)]
    longest = max(len(piece.encode()) for piece in pieces)
    if longest > 1000:
        raise ValueError(f"expected words of at most 1,000 bytes, got one of {longest:,}")
    shown = Encoding(text, [_piece(piece, ranks) for piece in pieces], _train(pieces, merges))
    assert shown.ids == BPETokenizer().encode(text).tolist()
    return shown


_ranks = functools.cache(mergeable_ranks)


def _piece(text: str, ranks: dict[bytes, int]) -> Piece:
    """Merge the pair of lowest rank, again and again, until none is in the table."""
    parts = _bytes(text)
    steps, merges = [parts], []
    while pairs := {pair: ranks[pair[0] + pair[1]] for pair in zip(parts, parts[1:])
                    if pair[0] + pair[1] in ranks}:
        # all of one pair at once, as training joined them
        best = min(pairs, key=pairs.__getitem__)
        parts = _join(parts, best)
        merges.append((*best, pairs[best]))
        steps.append(parts)
    return Piece(text, steps, merges, [ranks[part] for part in parts])


def _train(pieces: list[str], n: int) -> list[Merge]:
    """The first n merges that these pieces teach; fewer where no pair occurs twice."""
    words, merges = [_bytes(piece) for piece in pieces], []
    for _ in range(n):
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not counts or max(counts.values()) < 2:
            break
        (best, count), = counts.most_common(1)
        words = [_join(word, best) for word in words]
        merges.append((*best, count))
    return merges


def _bytes(text: str) -> list[bytes]:
    return [bytes([byte]) for byte in text.encode()]


def _join(parts: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    joined: list[bytes] = []
    while parts:
        n = 2 if tuple(parts[:2]) == pair else 1
        joined.append(b"".join(parts[:n]))
        parts = parts[n:]
    return joined


def bpe_text(shown: Encoding, colour: bool = False) -> str:
    """Pieces, merges by rank, ids, and a table learnt from this text; 80 columns."""
    def title(step: int, what: str) -> str:
        return tint(f"{step}. {what}", "bold", colour)

    lines = [wrapped(CAPTION), "",
             title(1, "pieces: a pattern cuts the text; a word takes the space before it along"),
             *_folded([visible(piece.text) for piece in shown.pieces], " | "),
             "(␣ is a space, ↵ a line break, \\x.. a byte that is no character)", "",
             title(2, "merges: in each piece, the neighbours of the lowest rank are joined first")]
    for piece in shown.pieces[:MOST_PIECES]:
        lines += _merging(piece, colour)
    if len(shown.pieces) > MOST_PIECES:
        lines.append(f"  ... {len(shown.pieces) - MOST_PIECES} more pieces")
    tokens = [part for piece in shown.pieces for part in piece.steps[-1]]
    lines += ["", title(3, "ids: what no rank joins any further is a token; its rank is its id"),
              *_ids(tokens, shown.ids), "",
              *_lengths(shown, colour), "", title(4, "the table itself"), wrapped(TRAINED)]
    for n, (left, right, count) in enumerate(shown.trained):
        pair = f"{fit(visible(left), 12, right=True)} + {fit(visible(right), 12)}"
        lines.append(f"  join {n + 1:>3}  {pair} -> {fit(visible(left + right), 16)} "
                     f"{count} times")
    if not shown.trained:
        lines.append("  no pair occurs twice in this text; give a longer one")
    return page(lines)


def _merging(piece: Piece, colour: bool) -> list[str]:
    """A line for each state of a piece, the merge before it."""
    lines = []
    for n, parts in enumerate(piece.steps):
        what = "bytes" if n == 0 else f"rank {piece.merges[n - 1][2]:,}"
        new = piece.merges[n - 1][0] + piece.merges[n - 1][1] if n else None
        words = [visible(part) for part in parts[:MOST_BYTES]]
        row = " ".join(words) + (" ..." if len(parts) > MOST_BYTES else "")
        if width_of(row) > WIDTH - 16:
            row = fit(row, WIDTH - 20) + " ..."
        elif new is not None:
            row = " ".join(tint(word, "orange", colour and part == new)
                           for word, part in zip(words, parts))
        lines.append(f"  {what:>12}  {row}")
    return lines


def _ids(tokens: list[bytes], ids: list[int]) -> list[str]:
    """Tokens with their ids below them, as many in a line as fit."""
    lines, above, below = [], "", ""
    for token, number in zip(tokens, ids):
        name = fit(visible(token), min(max(width_of(visible(token)), len(str(number))), 24))
        if width_of(above) + width_of(name) > WIDTH - 4:
            lines += ["  " + above, "  " + below]
            above = below = ""
        above, below = f"{above}{name}  ", f"{below}{fit(str(number), width_of(name))}  "
    return lines + ["  " + above, "  " + below]


def _lengths(shown: Encoding, colour: bool) -> list[str]:
    """How long the text is in bytes, characters and tokens."""
    sizes = {"bytes": len(shown.text.encode()), "characters": len(shown.text),
             "tokens": len(shown.ids)}
    most = max(sizes.values())
    return [f"  {name:12}{size:>6} " + tint(bar(size / most, WIDTH - 21).rstrip(), "blue", colour)
            for name, size in sizes.items()]


def _folded(words: list[str], between: str) -> list[str]:
    """Words with `between` them, in lines of 80 columns; the longest are cut."""
    lines = [""]
    for word in words:
        word = fit(word, min(width_of(word), WIDTH - 8))
        if lines[-1] and width_of(lines[-1] + between + word) > WIDTH - 2:
            lines.append("")
        lines[-1] += (between if lines[-1] else "  ") + word
    return lines


def bpe_picture(shown: Encoding) -> drawing.Figure:
    """A Figure: the merges of the piece that has most, a row of boxes for each state.

    Of a very long piece, the first MOST_BYTES bytes and states.
    """
    short = [piece for piece in shown.pieces if len(piece.steps[0]) <= MOST_BYTES]
    piece = max(short or shown.pieces[:1], key=lambda piece: len(piece.steps))
    total, states = min(len(piece.steps[0]), MOST_BYTES), piece.steps[:MOST_BYTES]
    figure = drawing.new_figure(1, 1, (min(4 + 0.45 * total, 14), 1.2 + 0.36 * len(states)))
    (axes,) = figure.axes
    palette = (drawing.SKY, drawing.YELLOW)
    for row, parts in enumerate(states):
        start = 0
        for n, part in enumerate(parts):
            new = bool(row) and part == piece.merges[row - 1][0] + piece.merges[row - 1][1]
            axes.barh(row, len(part) - 0.08, left=start, height=0.8,
                      color=drawing.ORANGE if new else palette[n % 2])
            axes.text(start + len(part) / 2 - 0.04, row, visible(part), ha="center", va="center",
                      fontsize=9, color="white" if new else "black", parse_math=False, clip_on=True)
            start += len(part)
    labels = ["bytes"] + [f"rank {rank:,}" for _, _, rank in piece.merges]
    axes.set_yticks(range(len(states)), labels[:len(states)], fontsize=8)
    axes.set(ylim=(len(states) - 0.4, -0.6), xlim=(0, total),
             xlabel=f"bytes of the piece {visible(piece.text[:MOST_BYTES])!r}")
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.xaxis.label.set_parse_math(False)
    ids = ", ".join(map(str, piece.ids[:6])) + (", ..." if len(piece.ids) > 6 else "")
    axes.set_title(f"the lowest rank is joined first (orange); at the end ids {ids}", fontsize=10)
    return figure
