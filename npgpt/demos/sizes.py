"""Parameters and memory of the four GPT-2 sizes: tied and untied, with and without qkv bias."""

from __future__ import annotations

from typing import NamedTuple

from ..budget import Budget, budget
from ..config import SIZES, GPT2Config
from ..display import drawing
from ..display.terminal import WIDTH, bar, page, tint, wrapped

CAPTION = """Tied, the token embedding is the output matrix too, as in OpenAI's weights. Untied, the
    output has a matrix of its own, of the same size: that matters most in the smallest model. The
    book's models have no bias on queries, keys and values."""
VARIANTS: dict[str, dict[str, bool]] = {
    "tied": {},
    "untied": {"tie_word_embeddings": False},
    "tied, no qkv bias": {"qkv_bias": False},
    "untied, no qkv bias": {"tie_word_embeddings": False, "qkv_bias": False},
}
NOTES = {"tied": "as published", "untied, no qkv bias": "the book's count"}


class Size(NamedTuple):
    """One size in one variant; its cost is of float32, and activations come on top."""

    name: str
    variant: str
    config: GPT2Config
    cost: Budget


def sizes_demo() -> list[Size]:
    """The four sizes in each of the four VARIANTS; nothing is allocated."""
    configs = [(name, variant, GPT2Config.named(name, **changes))
               for name in SIZES for variant, changes in VARIANTS.items()]
    return [Size(name, variant, config, budget(config)) for name, variant, config in configs]


def sizes_text(shown: list[Size], colour: bool = False) -> str:
    """A table, and bars of the parameters; 80 columns."""
    lines = [wrapped(CAPTION), "", f"{'':22}{'parameters':>16}{'MiB':>10}{'training MiB':>14}"]
    for size in shown:
        if size.variant == "tied":
            config = size.config
            lines.append(tint(f"{size.name}: {config.n_layer} layers, {config.n_head} heads, "
                              f"{config.n_embd} channels", "bold", colour))
        cost = size.cost
        lines.append(f"  {size.variant:20}{cost.parameters:>16,}"
                     f"{cost.parameter_bytes / 2**20:>10,.2f}"
                     f"{cost.training_bytes / 2**20:>14,.0f}  {NOTES.get(size.variant, '')}")
    lines += ["", wrapped("MiB: 2^20 bytes of float32 parameters. Training: with gradients and "
                          "AdamW's two moments, before activations."), ""]
    most = max(size.cost.parameters for size in shown)
    for size in shown:
        if size.variant in ("tied", "untied"):
            label = f"{size.name if size.variant == 'tied' else '':12}{size.variant:7}"
            filled = bar(size.cost.parameters / most, WIDTH - len(label)).rstrip()
            paint = "blue" if size.variant == "tied" else "orange"
            lines.append(label + tint(filled, paint, colour))
    return page(lines)


def sizes_picture(shown: list[Size]) -> drawing.Figure:
    """A Figure of two panels: parameters tied and untied, and the tied ones' memory."""
    figure = drawing.new_figure(1, 2, (11, 3.8))
    names = list(dict.fromkeys(size.name for size in shown))
    tied, untied = ([size for size in shown if size.variant == v] for v in ("tied", "untied"))
    panels = (
        ("million parameters", "{:,.0f}", "with qkv bias, as published", (
            (drawing.BLUE, "tied", [size.cost.parameters / 1e6 for size in tied]),
            (drawing.ORANGE, "untied", [size.cost.parameters / 1e6 for size in untied]))),
        ("GiB, float32", "{:.1f}", "memory, tied", (
            (drawing.BLUE, "parameters", [size.cost.parameter_bytes / 2**30 for size in tied]),
            (drawing.GREEN, "with gradients and AdamW's moments",
             [size.cost.training_bytes / 2**30 for size in tied]))),
    )
    for axes, (unit, number, title, series) in zip(figure.axes, panels):
        for shift, (colour, label, heights) in zip((-0.2, 0.2), series):
            bars = axes.bar([n + shift for n in range(len(names))], heights, width=0.38,
                            color=colour, label=label)
            axes.bar_label(bars, fmt=number, fontsize=8, padding=1)
        axes.set(xticks=range(len(names)), xticklabels=names, title=title, ylabel=unit)
        axes.legend(frameon=False, loc="upper left")
    return figure
