"""Pictures made of characters, for a terminal of 80 columns: charts, bars and paragraphs.

Each curve has a letter of its own, so that colour is not needed to distinguish them.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Iterable, Sequence

import numpy as np

from ..layers.contract import Array

WIDTH = 80
# of a terminal's 256 colours, those nearest to the palette of the pictures; all are legible on
# black and on white
_COLOURS = {"blue": "38;5;32", "orange": "38;5;208", "green": "38;5;36", "pink": "38;5;169",
            "bold": "1", "dim": "2"}


def tint(text: str, colour: str, on: bool) -> str:
    """`text` in a colour if `on`, else as it is."""
    return f"\033[{_COLOURS[colour]}m{text}\033[0m" if on and text else text


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 80 columns."""
    return textwrap.fill(" ".join(text.split()), WIDTH, break_on_hyphens=False)


def page(lines: Iterable[str]) -> str:
    """Lines as one text, without blanks at their ends."""
    return "\n".join(line.rstrip() for line in lines)


def bar(fraction: float, width: int) -> str:
    """A bar that fills this fraction of `width` columns; anything above 0 shows at least a dot."""
    length = round(fraction * width)
    return ("#" * length or ("." if fraction > 0 else "")).ljust(width)


def bytes_text(n: float) -> str:
    """A number of bytes in the unit that suits it: "1.50 MiB"."""
    return _in_unit(n, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def count_text(n: float) -> str:
    """A large number in three digits and k, M, G or T: "1.05 G"."""
    return _in_unit(n, 1000, ("", "k", "M", "G", "T"))


def _in_unit(n: float, step: int, units: Sequence[str]) -> str:
    size = 0
    while n >= step and size < len(units) - 1:
        n, size = n / step, size + 1
    digits = 0 if size == 0 or n >= 100 else 1 if n >= 10 else 2
    return f"{n:.{digits}f} {units[size]}".rstrip()


def duration(seconds: float) -> str:
    """Seconds in a unit that suits them: 42 s, 3.5 min, 1 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


@dataclass(frozen=True, eq=False)
class Curve:
    """A line of a chart: its letter, its colour, and its points x, y (N,), x increasing."""

    letter: str
    colour: str
    x: Array
    y: Array


def chart(
    title: str, curves: Sequence[Curve], ticks: Sequence[float], *, width: int = WIDTH,
    height: int = 14, colour: bool = False, log: bool = False,
    span: tuple[float, float] | None = None,
) -> list[str]:
    """Lines of exactly `width` columns that show the curves, the first one in front.

    The y axis goes from the first of `ticks` to the last; with `log` it is logarithmic, and what
    is not positive is left out. The x axis is that of the first curve, or `span`. Charts of one
    height lie side by side with `beside`.
    """
    left = max(9, 2 + max(len(f"{tick:g}") for tick in ticks))
    columns = width - left
    low, *_, high = np.log10(ticks) if log else ticks
    x_low, x_high = span or (float(curves[0].x[0]), float(curves[0].x[-1]))

    def row_of(value: float) -> int:
        return height - 1 - round((value - low) / (high - low) * (height - 1))

    grid = [[" "] * columns for _ in range(height)]
    for curve in reversed(curves):
        shown = curve.y > 0 if log else np.full(len(curve.y), True)
        if not shown.any():
            continue
        y = np.log10(curve.y[shown]) if log else curve.y[shown]
        at = np.linspace(x_low, x_high, columns)
        values = np.interp(at, curve.x[shown], y, left=np.nan, right=np.nan)
        for column, value in enumerate(values):
            if low <= value <= high:
                grid[row_of(value)][column] = tint(curve.letter, curve.colour, colour)
    labels = {row_of(math.log10(tick) if log else tick): f"{tick:g}" for tick in ticks}
    lines = [title[:width].ljust(width)]
    lines += [f"{labels.get(row, ''):>{left - 2}} |" + "".join(cells)
              for row, cells in enumerate(grid)]
    lines.append(" " * (left - 1) + "+" + "-" * columns)
    lines.append(" " * left + _x_labels(x_low, x_high, columns))
    return lines


def beside(*blocks: Sequence[str]) -> list[str]:
    """Blocks of lines of equal number, side by side with two spaces between."""
    return ["  ".join(parts).rstrip() for parts in zip(*blocks, strict=True)]


def _x_labels(low: float, high: float, columns: int) -> str:
    value = (low + high) / 2
    if low == int(low) and high == int(high) and high - low > 2:
        value = int(value)      # an axis that counts has no halves
    middle, end = f"{value:g}", f"{high:g}"
    start = round((value - low) / (high - low) * (columns - 1)) - len(middle) // 2
    text = f"{low:g}".ljust(start) + middle
    return text.ljust(columns - len(end)) + end
