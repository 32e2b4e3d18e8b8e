"""Lines over steps, in panels with a scale: as characters for a terminal, or as a picture.

`svg.py` draws the same panels for a page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

import numpy as np

from ..layers.contract import Array
from .drawing import BLUE, GREEN, GREY, ORANGE, PINK, SKY, YELLOW, new_figure
from .terminal import WIDTH, Curve, beside, chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, GREY)
# lines beyond the colours have them again, dashed
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)))
_TINTS = ("blue", "orange", "green", "pink")
# where the largest value is so many times the least, a scale is logarithmic
_WIDE = 50.0
# narrower than this, small charts stand below each other
_NARROW = 70
# what is beyond is as good as infinite: sums of it would overflow
_LARGEST = 1e30


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a panel: points x, y (N,), x increasing, and the number of what it belongs to.

    Lines of one number share a colour. One that is `sparse` is drawn with a dot at every point.
    """

    name: str
    number: int
    letter: str
    x: Array
    y: Array
    sparse: bool = False

    def finite(self) -> tuple[Array, Array]:
        """The points with a finite y."""
        shown = np.isfinite(self.y) & (np.abs(self.y) < _LARGEST)
        return self.x[shown], self.y[shown]

    def thinned(self, points: int) -> tuple[Array, Array]:
        """At most so many points: means over stretches of equal length, of what is finite."""
        x, y = self.finite()
        if len(x) <= points:
            return x, y
        starts = np.linspace(0, len(x), points, endpoint=False).astype(int)
        counts = np.diff(np.append(starts, len(x)))
        return np.add.reduceat(x, starts) / counts, np.add.reduceat(y, starts) / counts


@dataclass(frozen=True, eq=False)
class Panel:
    """Lines with a title and one scale; `from_zero` puts 0 on it and keeps it linear."""

    title: str
    lines: Sequence[Line]
    from_zero: bool = False

    def scale(self) -> tuple[list[float], bool]:
        """Ticks from the lower end of the scale to the upper, and whether it is logarithmic.

        The first twentieth of a line may lie above the scale: a loss falls far there, and would
        squeeze all that follows.
        """
        values = [0.0] if self.from_zero else []
        for line in self.lines:
            x, y = line.thinned(100)
            values += y[x >= x[-1] / 20].tolist() if len(x) else []
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if not self.from_zero and 0 < low < high / _WIDE:
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
            return [10.0**n for n in range(first, last + 1, -(-(last - first) // 4))], True
        return ticks(low, high), False


def ticks(low: float, high: float) -> list[float]:
    """From three to seven round numbers, equally spaced, the first <= low and the last >= high."""
    largest = max(abs(low), abs(high))
    # labels have six digits, and a line that differs in none of them is level
    if high - low <= 1e-4 * largest:
        low, high = (low - largest / 2, high + largest / 2) if largest else (0.0, 1.0)
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n for n in (1, 2, 2.5, 5, 10) if n * power >= rough * (1 - 1e-9)) * power
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # rounded: 3 * 0.1 has a tail that no label should show
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


def as_text(
    panels: Sequence[Panel], last: float, *, width: int = WIDTH, height: int = 14,
    colour: bool = False,
) -> list[str]:
    """Lines of at most `width` columns: the first panel as wide as that, the others in a row.

    The x axis goes from 0 to `last`.
    """
    lines = _chart(panels[0], last, width, height, colour)
    others = panels[1:]
    if width < _NARROW or not others:
        return lines + [line for panel in others
                        for line in ["", *_chart(panel, last, width, height - 4, colour)]]
    each = (width - 2 * (len(others) - 1)) // len(others)
    return [*lines, "", *beside(*(_chart(panel, last, each, height // 2, colour)
                                  for panel in others))]


def _chart(panel: Panel, last: float, width: int, height: int, colour: bool) -> list[str]:
    marks, log = panel.scale()
    # sparse lines in front of the others, which would cover them
    ordered = sorted(panel.lines, key=lambda line: not line.sparse)
    curves = [Curve(line.letter, _TINTS[line.number % len(_TINTS)], *line.thinned(width))
              for line in ordered]
    return chart(panel.title, [curve for curve in curves if len(curve.x)], marks, width=width,
                 height=height, colour=colour, log=log, span=(0.0, last))


def as_figure(panels: Sequence[Panel], names: Sequence[str], last: float) -> Figure:
    """A matplotlib Figure of the panels, two in a row, with the names of what is numbered.

    ImportError where matplotlib is missing.
    """
    rows = -(-len(panels) // 2)
    figure = new_figure(rows, min(2, len(panels)), (9.0, 0.6 + 2.7 * rows))
    for axes in figure.axes[len(panels):]:
        axes.set_visible(False)
    for axes, panel in zip(figure.axes, panels):
        for line in panel.lines:
            colour, dash = style(line.number)
            if line.sparse:
                axes.plot(*line.finite(), color=colour, linestyle=dash, linewidth=1.8, marker="o",
                          markersize=3, zorder=3)
            else:
                # what is measured at every step is noisy: as it is, and its means
                axes.plot(*line.thinned(1000), color=colour, linewidth=0.5, alpha=0.35)
                axes.plot(*line.thinned(100), color=colour, linestyle=dash, linewidth=1.1)
        marks, log = panel.scale()
        axes.set_yscale("log" if log else "linear")
        if not log:
            axes.set_yticks(marks, [f"{mark:g}" for mark in marks])
        axes.set_ylim(marks[0], marks[-1])
        axes.set_xlim(0, last)
        axes.set_title(panel.title, loc="left", fontsize=10)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("step")
    keys = [figure.axes[0].plot([], [], color=style(n)[0], linestyle=style(n)[1])[0]
            for n in range(len(names))]
    figure.legend(keys, names, loc="outside upper left", ncols=min(4, len(names)), frameon=False)
    return figure


def style(number: int) -> tuple[str, str | tuple[int, tuple[float, ...]]]:
    """The colour and the dashes of a number's lines, as matplotlib takes them."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
