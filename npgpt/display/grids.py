"""Small matrices with names on their rows and columns: for a terminal, and in a picture."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Sequence

import numpy as np

from ..layers.contract import Array
from .terminal import WIDTH, tint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL, LABEL = 8, 10
MOST_COLUMNS = (WIDTH - LABEL) // CELL
"""As many columns of `grid` fit into 80."""
# numbers stand in the cells of a picture up to this many of them
_LEGIBLE = 150


def visible(token: str | bytes) -> str:
    """A token as it may stand in a table: a space is ␣, a line break ↵, a byte alone \\xe2."""
    text = token.decode("utf-8", "backslashreplace") if isinstance(token, bytes) else token
    text = text.replace(" ", "␣").replace("\n", "↵")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def width_of(text: str) -> int:
    """The columns that a text takes: two for a wide character, none for a combining one."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF"
               else 1 for c in text)


def fit(text: str, width: int, right: bool = False) -> str:
    """A text in exactly `width` columns: cut where it is longer, else padded."""
    while width_of(text) > width:
        text = text[:-1]
    space = " " * (width - width_of(text))
    return space + text if right else text + space


def number(value: float, decimals: int = 2, longest: int = CELL - 1) -> str:
    """A number for a table in at most `longest` characters: in full, shorter, or as 1e+06.

    -inf and NaN by their names, and no sign on a zero.
    """
    for places in range(decimals, -1, -1):
        # round first, so that a mean of -1e-17 is shown as 0 without a sign
        text = f"{round(float(value), places) + 0.0:.{places}f}"
        if len(text) <= longest:
            return text
    return f"{value:.{max(0, longest - 7)}e}"


def grid(
    array: Array, rows: Sequence[str], columns: Sequence[str] = (), *, decimals: int = 2,
    marked: Array | None = None, colour: bool = False,
) -> list[str]:
    """Lines that show array (R, N): `rows` names (R,), `columns` names (N,) or none.

    The elements where `marked` (R, N) is true stand out in colour. At most MOST_COLUMNS columns
    fit into 80.
    """
    lines = []
    if columns:
        lines.append(" " * LABEL + "".join(fit(f" {c}"[:CELL], CELL, right=True) for c in columns))
    for r, (name, row) in enumerate(zip(rows, array)):
        cells = [f"{number(value, decimals):>{CELL}}" for value in row]
        if marked is not None:
            cells = [tint(cell, "orange", colour and bool(on))
                     for cell, on in zip(cells, marked[r])]
        lines.append(fit(name, LABEL) + "".join(cells))
    return lines


def draw_grid(
    axes: Axes, array: Array, rows: Sequence[str], columns: Sequence[str], title: str, *,
    decimals: int = 2, reach: float | None = None,
) -> None:
    """Colour the cells of array (R, N) on matplotlib axes, with the numbers in them if few.

    Without negative numbers viridis from 0 to `reach`; else orange below 0, white there, and purple
    above. `reach` defaults to the largest finite size. What is not finite stays blank, with its
    name.
    """
    finite = np.where(np.isfinite(array), array, np.nan)
    signed = bool((finite < 0).any())
    reach = reach or float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) or 1.0
    axes.imshow(finite, cmap="PuOr" if signed else "viridis", vmin=-reach if signed else 0.0,
                vmax=reach, aspect="auto")
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.set_xticks(range(len(columns)), columns, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(rows)), rows, fontsize=8, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if array.size > _LEGIBLE:
        return
    for (r, c), value in np.ndenumerate(array):
        size = value / reach
        light = not np.isfinite(value) or (abs(size) < 0.6 if signed else size > 0.6)
        axes.text(c, r, number(value, decimals), ha="center", va="center", fontsize=8,
                  color="black" if light else "white")
