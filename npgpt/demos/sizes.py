"""Parameters and memory of the four GPT-2 sizes: tied and untied, with and without qkv bias."""

from __future__ import annotations

from dataclasses import dataclass

from ..budget import budget
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
    """The four sizes in each of the four VARIANTS; nothing is allocated."""
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
    """A table, and bars of the parameters; 80 columns."""
    lines = [wrapped(CAPTION), "", f"{'':22}{'parameters':>16}{'MiB':>10}{'training MiB':>14}"]
    for size in shown:
        if size.variant == "tied":
            lines.append(tint(f"{size.name}: {size.n_layer} layers, {size.n_head} heads, "
                              f"{size.n_embd} channels", "bold", colour))
        lines.append(f"  {size.variant:20}{size.parameters:>16,}{size.mebibytes:>10,.2f}"
                     f"{size.training_mebibytes:>14,.0f}  {NOTES.get(size.variant, '')}")
    lines += ["", wrapped("MiB: 2^20 bytes of float32 parameters. Training: with gradients and "
                          "AdamW's two moments, before activations."), ""]
    most = max(size.parameters for size in shown)
    for size in shown:
        if size.variant in ("tied", "untied"):
            label = f"{size.name if size.variant == 'tied' else '':12}{size.variant:7}"
            filled = bar(size.parameters / most, WIDTH - len(label)).rstrip()
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
            (drawing.BLUE, "tied", [size.parameters / 1e6 for size in tied]),
            (drawing.ORANGE, "untied", [size.parameters / 1e6 for size in untied]))),
        ("GiB, float32", "{:.1f}", "memory, tied", (
            (drawing.BLUE, "parameters", [size.mebibytes / 1024 for size in tied]),
            (drawing.GREEN, "with gradients and AdamW's moments",
             [size.training_mebibytes / 1024 for size in tied]))),
    )
    for axes, (unit, number, title, series) in zip(figure.axes, panels):
        for shift, (colour, label, heights) in zip((-0.2, 0.2), series):
            bars = axes.bar([n + shift for n in range(len(names))], heights, width=0.38,
                            color=colour, label=label)
            axes.bar_label(bars, fmt=number, fontsize=8, padding=1)
        axes.set(xticks=range(len(names)), xticklabels=names, title=title, ylabel=unit)
        axes.legend(frameon=False, loc="upper left")
    return figure
