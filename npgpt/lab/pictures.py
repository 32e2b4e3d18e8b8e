"""A study's pictures, as SVG: narrow enough for a phone, the same scale across panels.

Colours are Okabe and Ito's and never alone: line styles, places or numbers say the same.
"""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Callable, Mapping, Sequence

import numpy as np

from ..display.drawing import BLUE, GREEN, GREY, ORANGE, PINK, SKY, YELLOW, new_figure
from ..layers.contract import Array
from ..probe.entropy import causal_bound
from .statistics import exp
from .summary import ArmSummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.6
COLOURS = (BLUE, ORANGE, GREEN, PINK, "#000000", SKY, YELLOW)
DASHES = (
    "-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1, 1, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)),
    (0, (1, 2)),
)


def draw_all(summary: Summary) -> dict[str, bytes]:
    """Every picture that the results allow, as SVG by name. ImportError without matplotlib."""
    new_figure(1, 1, (1, 1))        # raises the error that names the extra
    import matplotlib

    drawings: dict[str, Callable[[Summary], Figure | None]] = {
        "perplexity": perplexity, "heat-maps": heat_maps, "layer-means": layer_means,
        "entropy": entropy_over_training, "loss": loss_curves, "difference": loss_differences,
    }
    found = {}
    # the text stays readable where a phone shrinks the picture to two thirds
    with matplotlib.rc_context({
            "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10, "legend.fontsize": 9.5,
            "xtick.labelsize": 9, "ytick.labelsize": 9, "svg.hashsalt": "npgpt"}):
        for name, draw in drawings.items():
            figure = draw(summary)
            if figure is not None:
                buffer = io.BytesIO()
                figure.savefig(buffer, format="svg", metadata={"Date": None})
                found[name] = buffer.getvalue()
    return found


def perplexity(summary: Summary) -> Figure | None:
    """Every seed a dot, the mean a bar with its interval; one row for each arm of finite mean."""
    arms = [arm for arm in summary.arms if math.isfinite(arm.perplexity.mean)]
    if not arms:
        return None
    figure = new_figure(1, 1, (WIDTH, 1.0 + 0.36 * len(arms)))
    axes = figure.axes[0]
    baseline = arms[0].perplexity.mean
    axes.axvline(baseline, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    most = _frame([arm.perplexity.mean for arm in arms])
    low = high = baseline
    for row, arm in enumerate(arms):
        found = arm.perplexity
        values = [exp(loss) for loss in arm.losses.values()]
        if found.mean > most:
            # one far arm would squeeze all others together: its value is written instead
            axes.annotate(f"{found.mean:.3g} \N{RIGHTWARDS ARROW}", (1, row),
                          xycoords=("axes fraction", "data"), ha="right", va="center",
                          color=BLUE, fontsize=9)
            continue
        low, high = min(low, *values), max(high, *values)
        if not math.isnan(found.low):
            axes.plot([found.low, found.high], [row, row], color=BLUE, linewidth=2)
        axes.plot(values, [row] * len(values), "o", color=ORANGE, markersize=4.5, alpha=0.9,
                  markeredgewidth=0)
        axes.plot([found.mean], [row], "|", color=BLUE, markersize=15, markeredgewidth=2.2)
    # an interval of two seeds can be many times wider than all differences: it may leave the frame
    margin = 0.35 * (high - low) or 0.05 * high
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_yticks(range(len(arms)), [arm.name for arm in arms])
    axes.set_xlabel("perplexity on held-out text")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def _frame(means: list[float]) -> float:
    """The largest mean to draw to scale: those far above all the others are left out."""
    ordered = sorted(means)
    while len(ordered) > 2 and ordered[-1] - ordered[-2] > 1.2 * (ordered[-2] - ordered[0]):
        ordered.pop()
    return ordered[-1]


def heat_maps(summary: Summary) -> Figure | None:
    """Final entropy of every head as a fraction of the bound, a panel for each arm."""
    arms = [arm for arm in summary.arms if arm.entropy]
    if not arms or summary.bound is None:
        return None
    layers, heads = arms[0].mean_entropy.shape
    figure, panels = _panels(arms, min(1.7, max(1.0, 1.5 * layers / heads)), "head", "layer")
    for panel, arm in zip(panels, arms):
        part = arm.mean_entropy / summary.bound
        image = panel.imshow(part, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        if layers * heads <= 36:
            for (layer, head), value in np.ndenumerate(part):
                panel.text(head, layer, "NaN" if math.isnan(value) else f"{100 * value:.0f}",
                           ha="center", va="center", fontsize=8,
                           color="white" if not value > 0.55 else "black")
        panel.set_xticks(range(0, heads, -(-heads // 6)))
        panel.set_yticks(range(0, layers, -(-layers // 6)))
        panel.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=panels, location="bottom", shrink=0.7, aspect=35, pad=0.02)
    bar.set_label("attention entropy, fraction of the causal bound")
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25 %", "50 %", "75 %", "100 %"])
    return figure


def layer_means(summary: Summary) -> Figure | None:
    """Final entropy by depth beside the paper's, each as a fraction of its own bound."""
    arms = [arm for arm in summary.arms if arm.entropy and arm.paper and arm.paper.layers]
    if not arms or summary.bound is None:
        return None
    figure, panels = _panels(arms, 2.0, "layer", "entropy, fraction of bound")
    for panel, arm in zip(panels, arms):
        assert arm.paper is not None and arm.paper.layers is not None
        for values in arm.entropy.values():
            means = values.mean(axis=1) / summary.bound
            panel.plot(np.linspace(0, 1, len(means)), means, color=BLUE, linewidth=1.4,
                       marker="o", markersize=3.5, label="here, a line for each seed")
        printed = np.array(arm.paper.layers) / causal_bound(128)
        panel.plot(np.linspace(0, 1, len(printed)), printed, color=ORANGE,
                   linestyle=(0, (4, 1.5)), linewidth=1.6, marker="s", markersize=3,
                   label="the paper, 12 layers")
        panel.set_xticks([0, 1], ["first", "last"])
    _fraction_axis(figure, panels)
    return figure


def entropy_over_training(summary: Summary) -> Figure | None:
    """Mean entropy of every layer at every watched step, a panel for each arm."""
    arms = [arm for arm in summary.arms if arm.entropy]
    if not arms or summary.bound is None:
        return None
    figure, panels = _panels(arms, 1.7, "step", "entropy, fraction of bound")
    import matplotlib

    for panel, arm in zip(panels, arms):
        nats = np.array(list(zip(*arm.nats.values())))              # (watched, seeds, L, H)
        by_layer = nats.mean(axis=(1, 3)) / summary.bound           # (watched, L)
        n_layer = by_layer.shape[1]
        if n_layer <= len(COLOURS):
            panel.set_prop_cycle(color=COLOURS, linestyle=DASHES)
        else:
            panel.set_prop_cycle(
                color=matplotlib.colormaps["viridis"](np.linspace(0, 0.9, n_layer)),
                linestyle=[DASHES[layer % 3] for layer in range(n_layer)])
        panel.plot(arm.watched, by_layer, linewidth=1.5,
                   label=[f"layer {layer}" for layer in range(n_layer)])
        panel.set_xlim(0, arm.watched[-1])
        panel.set_xticks([0, arm.watched[-1]])
    _fraction_axis(figure, panels)
    return figure


def loss_curves(summary: Summary) -> Figure | None:
    """Validation loss over training: means over seeds, in bands from the least to the largest."""
    curves = {arm.name: list(arm.val.values()) for arm in summary.arms if arm.val}
    return _curve_panels(curves, "loss, nats per token", next(iter(curves), None))


def loss_differences(summary: Summary) -> Figure | None:
    """The same minus the first arm's, seed by seed: shows how arms differ, not what all learn."""
    first, *others = summary.arms
    curves = {}
    for arm in others:
        # as far as both have got
        pairs = [list(zip(arm.val[seed], first.val[seed])) for seed in arm.val if seed in first.val]
        if pairs:
            curves[arm.name] = [np.array([(step, loss - base) for (step, loss), (_, base) in pair])
                                for pair in pairs]
    return _curve_panels(curves, f"loss minus that of\n{first.name}, nats", None)


def _curve_panels(
    curves: Mapping[str, Sequence[Array]], label: str, reference: str | None
) -> Figure | None:
    """Mean and range of each arm's curves (N, 2), one curve a seed.

    The arm named `reference` is in every panel, to compare with; without it, a line at 0.
    """
    if not curves:
        return None
    # few lines in a panel, to tell them apart
    names = [name for name in curves if name != reference]
    groups = [names[start:start + 4] for start in range(0, len(names), 4)] or [[]]
    figure = new_figure(len(groups), 1, (WIDTH, 0.5 + 2.9 * len(groups)), sharex=True, sharey=True)
    ends, lows = [], []
    for panel, group in zip(figure.axes, groups):
        styles = [*zip(group, COLOURS, DASHES)]
        if reference is not None:
            styles.insert(0, (reference, "#555555", "-"))
        for name, colour, dash in styles:
            points = np.array(list(zip(*curves[name])))             # (N, seeds, 2)
            steps, losses = points[:, 0, 0], points[..., 1]
            low, high = losses.min(axis=1), losses.max(axis=1)
            panel.plot(steps, losses.mean(axis=1), color=colour, linestyle=dash, linewidth=1.6,
                       label=name)
            panel.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
            shown = steps >= 0.15 * steps[-1]
            ends.append(float(np.nanmax(high[shown])))
            lows.append(float(np.nanmin(low[shown])))
        if reference is None:
            panel.axhline(0, color=GREY, linewidth=1)
        panel.set_ylabel(label)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        # outside the axes: a legend must not cover the curves
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False,
                     handlelength=2.6, columnspacing=1.2, borderaxespad=0.2)
    margin = 0.05 * (max(ends) - min(lows)) or 0.01
    figure.axes[0].set_ylim(min(lows) - margin, max(ends) + margin)
    figure.axes[-1].set_xlabel("step")
    return figure


def _panels(
    arms: Sequence[ArmSummary], height: float, x: str, y: str
) -> tuple[Figure, list[Axes]]:
    """A panel for each arm, with its name; they share their axes, at most three in a row."""
    columns = min(3, len(arms))
    rows = -(-len(arms) // columns)
    figure = new_figure(rows, columns, (WIDTH, 0.9 + (height + 0.35) * rows), sharex=True,
                        sharey=True)
    figure.supylabel(y, fontsize=10)
    panels, unused = figure.axes[:len(arms)], figure.axes[len(arms):]
    for axes in unused:
        axes.set_visible(False)
    for axes, arm in zip(panels, arms):
        axes.set_title("\n".join(textwrap.wrap(arm.name, 19)), loc="left", fontsize=9)
        # a panel with nothing below it must bear its own axis
        axes.tick_params(labelbottom=True)
    for axes in panels[-columns:]:
        axes.set_xlabel(x)
    return figure, panels


def _fraction_axis(figure: Figure, panels: Sequence[Axes]) -> None:
    """Fractions of the bound in percent, the highest quarter grey; a legend above all panels."""
    panels[0].set_ylim(0, 1.02)
    panels[0].set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50 %", "", "100 %"])
    for panel in panels:
        panel.axhspan(0.75, 1.02, color="#f0f0f0", linewidth=0, zorder=0)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    handles, labels = panels[0].get_legend_handles_labels()
    once = dict(zip(labels, handles))
    figure.legend(once.values(), once.keys(), loc="outside upper left", ncols=min(4, len(once)),
                  frameon=False, handlelength=2.6, columnspacing=1.2)
