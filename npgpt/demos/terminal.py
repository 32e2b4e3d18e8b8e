"""Pictures made of characters, for a terminal of 80 columns: charts, bars and paragraphs.

Curves are told apart by their letters; colour, where it is wanted, only helps.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Sequence

import numpy as np

from ..layers.contract import Array

WIDTH = 80
# of the 256 colours of every terminal, those nearest to the palette of the pictures; all can be
# read on black and on white
_COLOURS = {"blue": "38;5;32", "orange": "38;5;208", "green": "38;5;36", "pink": "38;5;169",
            "bold": "1", "dim": "2"}


def tint(text: str, colour: str, on: bool) -> str:
    """`text` in a colour if `on`, else as it is."""
    return f"\033[{_COLOURS[colour]}m{text}\033[0m" if on and text else text


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 80 columns."""
    return textwrap.fill(" ".join(text.split()), WIDTH)


def bar(share: float, width: int) -> str:
    """A bar of `width` columns for a share of 1; something above 0 shows at least a dot."""
    length = round(share * width)
    return ("#" * length or ("." if share > 0 else "")).ljust(width)


def bytes_text(n: float) -> str:
    """A number of bytes in the unit that suits it: "1.50 MiB"."""
    if n < 1024:
        return f"{n:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        n /= 1024
        if n < 1024 or unit == "TiB":
            break
    return f"{_three_digits(n)} {unit}"


def count_text(n: float) -> str:
    """A large number in three digits and k, M, G or T: "1.05 G"."""
    if n < 1000:
        return f"{n:.0f}"
    for unit in ("k", "M", "G", "T"):
        n /= 1000
        if n < 1000 or unit == "T":
            break
    return f"{_three_digits(n)} {unit}"


def _three_digits(n: float) -> str:
    return f"{n:.0f}" if n >= 100 else f"{n:.1f}" if n >= 10 else f"{n:.2f}"


@dataclass(frozen=True, eq=False)
class Curve:
    """A line of a chart: its letter, its colour, and its points x, y (N,), x increasing."""

    letter: str
    colour: str
    x: Array
    y: Array


def chart(
    title: str, curves: Sequence[Curve], *, y_range: tuple[float, float], width: int = WIDTH,
    height: int = 14, colour: bool = False, log: bool = False,
) -> list[str]:
    """Lines of exactly `width` columns that show the curves, the first one in front.

    `y_range` is (lowest, highest); with `log` the y axis is logarithmic. Five numbers at most
    stand on each axis. Several charts lie side by side with `beside`.
    """
    left = 9
    columns = width - left
    low, high = (math.log10(y) if log else y for y in y_range)
    x_low, x_high = float(curves[0].x[0]), float(curves[0].x[-1])
    grid = [[" "] * columns for _ in range(height)]
    for curve in reversed(curves):
        positive = curve.y > 0 if log else np.full(len(curve.y), True)
        x, y = curve.x[positive], curve.y[positive]
        if not len(x):
            continue
        at = np.linspace(x_low, x_high, columns)
        values = np.interp(at, x, np.log10(y) if log else y, left=np.nan, right=np.nan)
        for column, value in enumerate(values):
            if low <= value <= high:
                row = height - 1 - round((value - low) / (high - low) * (height - 1))
                grid[row][column] = tint(curve.letter, curve.colour, colour)
    lines = [title[:width].ljust(width)]
    labelled = {round(i * (height - 1) / 4) for i in range(5)}
    for row, cells in enumerate(grid):
        value = high - (high - low) * row / (height - 1)
        label = _axis_text(10**value if log else value) if row in labelled else ""
        lines.append(f"{label:>{left - 2}} |" + "".join(cells))
    lines.append(" " * (left - 1) + "+" + "-" * columns)
    lines.append(" " * left + _x_labels(x_low, x_high, columns))
    return lines


def beside(*blocks: Sequence[str]) -> list[str]:
    """Blocks of lines of equal number, side by side with two spaces between."""
    return ["  ".join(parts).rstrip() for parts in zip(*blocks, strict=True)]


def _axis_text(value: float) -> str:
    if value and not 1e-2 <= abs(value) < 1e4:
        return f"{value:.0e}"
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0" if value == 0 else "-0")


def _x_labels(low: float, high: float, columns: int) -> str:
    middle = _axis_text((low + high) / 2)
    text = _axis_text(low).ljust(columns)
    start = columns // 2 - len(middle) // 2
    text = text[:start] + middle + text[start + len(middle):]
    end = _axis_text(high)
    return text[:columns - len(end)] + end
