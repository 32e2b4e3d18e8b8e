"""Layer x head heat maps of attention entropy: for a terminal of 80 columns, and as a picture.

In a terminal every head is a block of two columns, one shade for each quarter of the causal bound,
and blank where the head has collapsed; with colour, every eighth has one. `!!` is a NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..display.drawing import new_figure
from ..display.terminal import WIDTH
from ..tape import Array
from .entropy import COLLAPSE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHADES, ASCII_SHADES = " ░▒▓█", " .:+#"
# of a terminal's 256 colours, those nearest to viridis, from low to high
_VIRIDIS = (54, 60, 31, 30, 35, 71, 148, 220)
_LEFT = 10
_WIDE = 32


def heat_text(nats: Array, bound: float, *, colour: bool = False, ascii_only: bool = False) -> str:
    """The map of nats (L, H), blank at 0 and densest at `bound`, in lines of 80 columns at most.

    Heads beyond the 32nd stand in further maps below. `ascii_only` is for terminals without blocks.
    """
    shades = ASCII_SHADES if ascii_only else SHADES

    def cell(value: float) -> str:
        if math.isnan(value):
            return "!!"
        fraction = min(max(value / bound, 0.0), 1.0)
        if not colour:
            return 2 * shades[0 if fraction < COLLAPSE else 1 + min(int(4 * fraction), 3)]
        code = _VIRIDIS[min(int(fraction * len(_VIRIDIS)), len(_VIRIDIS) - 1)]
        return f"\033[38;5;{code}m{2 * shades[-1]}\033[0m"

    n_layer, n_head = nats.shape
    lines: list[str] = []
    for first in range(0, n_head, _WIDE):
        heads = range(first, min(first + _WIDE, n_head))
        marks = "".join(f"{h:<4}" for h in heads[::2])
        lines.append(f"{'head':<{_LEFT}}{marks}".rstrip()[:WIDTH])
        lines += [f"{f'layer {i}':<{_LEFT}}" + "".join(cell(float(nats[i, h])) for h in heads)
                  for i in range(n_layer)]
        lines.append("")
    count = len(_VIRIDIS) if colour else 4
    scale = "".join(cell((i + 0.5) / count * bound) for i in range(count))
    blank = "" if colour else f"; blank: below {COLLAPSE:.0%}"
    lines.append(f"scale     0 [{scale}] {bound:.3f} nats, the causal bound{blank}")
    return "\n".join(lines)


def heat_picture(nats: Array, bound: float, length: int, title: str) -> Figure:
    """The map of nats (L, H) as a matplotlib Figure: viridis from 0 to `bound`, NaN left white.

    Save it with `npgpt.display.drawing.save`. Raises ImportError, which names the extra, where
    matplotlib is missing.
    """
    n_layer, n_head = nats.shape
    size = (2.6 + 0.42 * max(n_head, 7), 1.7 + 0.36 * max(n_layer, 5))
    figure: Figure = new_figure(1, 1, size)
    (axes,) = figure.axes
    image = axes.imshow(nats, cmap="viridis", vmin=0.0, vmax=bound, aspect="auto")
    axes.set_title(f"{title}\nAttention entropy, T = {length}", fontsize=11, loc="left")
    axes.set_xlabel("Head")
    axes.set_ylabel("Layer")
    for axis, count in ((axes.xaxis, n_head), (axes.yaxis, n_layer)):
        axis.set_ticks(range(0, count, 1 if count <= 16 else 4))
    for layer in range(n_layer):
        for head in range(n_head):
            value = float(nats[layer, head])
            # the bright end of the map needs dark text
            dark = math.isnan(value) or value > 0.6 * bound
            axes.text(head, layer, "NaN" if math.isnan(value) else f"{value:.2f}", fontsize=7,
                      ha="center", va="center", color="black" if dark else "white")
    bar = figure.colorbar(image, ax=axes, ticks=[bound * i / 4 for i in range(5)])
    bar.ax.set_yticklabels([f"{bound * i / 4:.2f}   {25 * i} %" for i in range(5)])
    bar.set_label("nats, fraction of ln(T!) / T")
    return figure
