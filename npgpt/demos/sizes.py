"""Parameters and memory of the four GPT-2 sizes: tied and untied, and as the book counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config import SIZES, GPT2Config
from ..params import budget
from . import drawing
from .terminal import WIDTH, bar, tint, wrapped

LOOK = """Tied, the token table serves at both ends, as in OpenAI's weights. Untied models have a
    matrix of the same size for the way out: it counts most in the smallest model. The book's
    models are untied and have no bias on queries, keys and values."""
VARIANTS: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tie_word_embeddings": False},
    "the book's": {"tie_word_embeddings": False, "qkv_bias": False},
}


@dataclass(frozen=True)
class Size:
    """One size in one variant."""

    name: str
    variant: str
    n_layer: int
    n_head: int
    n_embd: int
    parameters: int
    mebibytes: float
    """Of the parameters in float32."""
    training_mebibytes: float
    """With gradients and AdamW's two moments; activations come on top."""


def sizes_demo() -> list[Size]:
    """The four sizes, each tied, untied, and as the book counts; nothing is allocated."""
    found = []
    for name in SIZES:
        for variant, changes in VARIANTS.items():
            config = GPT2Config.named(name, **changes)
            cost = budget(config)
            found.append(Size(name, variant, config.n_layer, config.n_head, config.n_embd,
                              cost.parameters, cost.parameter_bytes / 2**20,
                              cost.training_bytes / 2**20))
    return found


def sizes_text(shown: list[Size], colour: bool = False) -> str:
    """A table and bars of the parameters; 80 columns."""
    lines = [wrapped(LOOK), "", f"{'size':12}{'layers':>7}{'heads':>6}{'channels':>9}  "
             f"{'':11}{'parameters':>14}{'MiB':>9}{'training':>10}"]
    for size in shown:
        first = size.variant == "tied"
        shape = f"{size.name:12}{size.n_layer:>7}{size.n_head:>6}{size.n_embd:>9}" if first else ""
        lines.append(f"{shape:34}  {size.variant:11}{size.parameters:>14,}{size.mebibytes:>9.2f}"
                     f"{size.training_mebibytes:>10.0f}")
    lines += [wrapped("MiB (2^20 bytes) of float32 parameters; training: with gradients and "
                      "AdamW's two moments, before activations"), ""]
    most = max(size.parameters for size in shown)
    for size in shown:
        if size.variant != "the book's":
            label = f"{size.name if size.variant == 'tied' else '':12}{size.variant:7}"
            width = WIDTH - 20
            paint = "blue" if size.variant == "tied" else "orange"
            lines.append(label + " " + tint(bar(size.parameters / most, width).rstrip(), paint,
                                            colour))
    return "\n".join(line.rstrip() for line in lines)


def sizes_picture(shown: list[Size]) -> Any:
    """A Figure: parameters of each size, tied and untied."""
    figure = drawing.new_figure(1, 1, (7.5, 3.8))
    (axes,) = figure.axes
    names = list(dict.fromkeys(size.name for size in shown))
    for shift, (variant, colour) in enumerate(
            zip(VARIANTS, (drawing.BLUE, drawing.ORANGE, drawing.GREEN))):
        heights = [size.parameters / 1e6 for size in shown if size.variant == variant]
        places = [n + 0.27 * (shift - 1) for n in range(len(names))]
        bars = axes.bar(places, heights, width=0.25, color=colour, label=variant)
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=1)
    axes.set(xticks=range(len(names)), xticklabels=names, ylabel="million parameters",
             title="GPT-2's four sizes")
    axes.legend(frameon=False)
    return figure
