"""Embeddings: looking up a row for each token, and the way back, which adds to those rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..display import drawing
from ..display.grids import CELL, LABEL, MOST_COLUMNS, draw_grid, grid, visible
from ..display.terminal import WIDTH, page, tint, wrapped
from ..ids import check_integer
from ..layers.contract import Array
from ..layers.embedding import (
    position_embedding_backward,
    position_embedding_forward,
    token_embedding_backward,
    token_embedding_forward,
)

TEXT = "the cat saw the dog"
OTHERS = ("bird", "ran")
MOST = 12
CAPTION = """A token's id is a name, not a quantity: id 4 is not twice id 2. So each token of the
    vocabulary has a row of its own in a table of numbers that are learnt, and the id says which
    row. A second table has a row for each position; the two rows are added."""
SCATTER = """Backward brings a gradient for each position of the text. Nothing was computed on the
    way, so each is handed to the row it came from. A token that occurs twice used its row twice,
    and the row gets the sum; a token that did not occur gets zeros."""
ONE_HOT = """The same numbers come out of a matrix product: a row of zeros with one 1 at the id,
    times the table. It would read the whole table for each token, which is why nobody computes
    it so; but it explains the way back: onehot.T @ dout is that sum."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """A text of T tokens through tables of V and of T rows, C channels."""

    vocabulary: list[str]
    tokens: list[str]
    ids: Array
    """(T,) the row of each token."""
    table: Array
    """(V, C)."""
    positions: Array
    """(T, C)."""
    looked_up: Array
    """(T, C): table[ids]."""
    out: Array
    """(T, C): with the positions' rows added."""
    dout: Array
    """(T, C): a gradient for each position."""
    dtable: Array
    """(V, C): each row of dout added to its token's row."""
    dpositions: Array
    """(T, C)."""
    overwritten: Array
    """(V, C): what `dtable[ids] += dout` gives: only the last of a token's gradients."""


def embedding_demo(text: str = TEXT, channels: int = 4, seed: int = 0) -> Embedded:
    """Embed the words of a text by drawn tables, and scatter a drawn gradient back, in float64.

    Raises ValueError for a text without a word, or with more than MOST of them, and fewer than one
    channel or more than eight.
    """
    tokens = text.split()
    if not 1 <= len(tokens) <= MOST:
        raise ValueError(f"expected a text of 1 to {MOST} words, got {len(tokens)}")
    check_integer("channels", channels, 1, 8)
    # two words that the text does not use, so that their rows get no gradient
    vocabulary = sorted({*tokens, *OTHERS})
    ids = np.array([vocabulary.index(token) for token in tokens])
    rng = np.random.default_rng(seed)
    # one decimal, so that sums can be checked by eye
    table, positions, dout = (rng.standard_normal((n, channels)).round(1)
                              for n in (len(vocabulary), len(tokens), len(tokens)))
    looked_up, token_cache = token_embedding_forward(ids, table)
    out, position_cache = position_embedding_forward(looked_up, positions, np.arange(len(tokens)))
    dlooked_up, dpositions, _ = position_embedding_backward(dout, position_cache)
    _, dtable = token_embedding_backward(dlooked_up, token_cache)
    overwritten = np.zeros_like(table)
    overwritten[ids] += dout
    return Embedded([visible(word) for word in vocabulary], [visible(token) for token in tokens],
                    ids, table, positions, looked_up, out, dout, dtable, dpositions, overwritten)


def embedding_text(shown: Embedded, colour: bool = False) -> str:
    """Tables, lookup and scatter as small matrices; 80 columns."""
    def title(step: int, what: str) -> str:
        return tint(f"{step}. {what}", "bold", colour)

    def matrix(array: Array, rows: list[str], marked: Array | None = None) -> list[str]:
        if marked is not None:
            marked = np.broadcast_to(marked[:, None], array.shape)
        return grid(array, rows, marked=marked, decimals=1, colour=colour)

    counts = np.bincount(shown.ids, minlength=len(shown.vocabulary))
    often = counts > 1
    words = [f"{n} {word}" for n, word in enumerate(shown.vocabulary)]
    places = [f"{n} {token}" for n, token in enumerate(shown.tokens)]
    lines = [wrapped(CAPTION), "",
             title(1, f"the table: {len(words)} tokens of {shown.table.shape[1]} channels, drawn"),
             *matrix(shown.table, words, often), "",
             wrapped(f"text: {' '.join(shown.tokens)}"),
             wrapped(f"ids: {' '.join(map(str, shown.ids))}"), "",
             title(2, "lookup: table[ids], a row for each position of the text"),
             *matrix(shown.looked_up, places, often[shown.ids]), "",
             title(3, "with the position's row added: what the first block reads"),
             *_with_positions(shown, places)]
    twice = [word for word, count in zip(shown.vocabulary, counts) if count > 1]
    if twice:
        lines.append(wrapped(f"Both tables together tell one {twice[0]!r} from the other."))
    lines += ["", wrapped(SCATTER), "", title(4, "dout: the gradient of each position, drawn"),
              *matrix(shown.dout, places, often[shown.ids]), "",
              title(5, "dtable: scattered back to the table, and added up"),
              *[line + _sources(shown, n) for n, line in
                enumerate(matrix(shown.dtable, words, often))], ""]
    if twice:
        lines += [title(6, "a trap: dtable[ids] += dout keeps only the last of equal ids"),
                  *matrix(shown.overwritten[often], [w for w, on in zip(words, often) if on]),
                  wrapped("NumPy reads the rows, adds, and writes them back: of two writes to one "
                          "row the second wins. np.add.at(dtable, ids, dout) adds both."), ""]
    lines += [wrapped(ONE_HOT)]
    return page(lines)


def _with_positions(shown: Embedded, places: list[str]) -> list[str]:
    """The sums, beside the positions' rows where both fit."""
    c = shown.out.shape[1]
    if 2 * c > MOST_COLUMNS:
        return grid(shown.out, places, decimals=1)
    header = f"{'':{LABEL}}{'row of the position':>{CELL * c}}{'sum':>{CELL * c}}"
    return [header, *grid(np.hstack([shown.positions, shown.out]), places, decimals=1)]


def _sources(shown: Embedded, row: int) -> str:
    """Which positions' gradients add up to this row of dtable."""
    places = np.flatnonzero(shown.ids == row)
    text = " + ".join(f"dout[{n}]" for n in places) or "0, not in the text"
    room = WIDTH - LABEL - CELL * shown.dtable.shape[1] - 5
    return f"   = {text}" if len(text) <= room else ""


def embedding_picture(shown: Embedded) -> drawing.Figure:
    """A Figure of four panels: table, what was looked up, dout, and its scatter into the table."""
    figure = drawing.new_figure(1, 4, (13, 0.9 + 0.42 * max(len(shown.vocabulary), 5)))
    words = [f"{word} {n}" for n, word in enumerate(shown.vocabulary)]
    places = [f"{token}, id {n}" for token, n in zip(shown.tokens, shown.ids)]
    channels = [str(n) for n in range(shown.table.shape[1])]
    for axes, array, rows, title in zip(
        figure.axes, (shown.table, shown.looked_up, shown.dout, shown.dtable),
        (words, places, places, words),
        ("table", "forward: table[ids]", "gradient of each position",
         "backward: added up in the table"),
    ):
        # what is looked up has the table's colours, and what is scattered those of dout
        ends = (shown.table,) if axes in figure.axes[:2] else (shown.dout, shown.dtable)
        draw_grid(axes, array, rows, channels, title, decimals=1,
                  reach=max(float(np.abs(end).max()) for end in ends))
        axes.set_xlabel("channel", fontsize=8)
    figure.axes[0].set_ylabel("token and its id", fontsize=8)
    return figure
