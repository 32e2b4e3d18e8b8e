"""A study's pictures, as SVG: narrow enough for a phone, the same scale across panels.

Colours are Okabe and Ito's and never alone: line styles, places or numbers say the same.
"""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Callable, Sequence, TypedDict

import numpy as np

from ..display.drawing import BLUE, GREEN, GREY, ORANGE, PINK, SKY, YELLOW, new_figure
from ..layers.contract import Array
from ..probe.entropy import causal_bound
from .results import EntropyRecord, Results, number
from .summary import Summary, to_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.6
COLUMNS = 3
COLOURS = (BLUE, ORANGE, GREEN, PINK, "#000000", SKY, YELLOW)
Dash = str | tuple[int, tuple[float, ...]]
DASHES: tuple[Dash, ...] = (
    "-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1, 1, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)),
    (0, (1, 2)),
)


class Line(TypedDict):
    """How a curve is drawn."""

    color: str | tuple[float, float, float, float]
    linestyle: Dash


def draw_all(results: Results, summary: Summary) -> dict[str, bytes]:
    """Every picture that the results allow, as SVG by name. ImportError without matplotlib."""
    new_figure(1, 1, (1, 1))        # raises the error that names the extra
    import matplotlib

    drawings: dict[str, Callable[[Results, Summary], Figure | None]] = {
        "perplexity": perplexity, "heat-maps": heat_maps, "layer-means": layer_means,
        "entropy": entropy_over_training, "loss": loss_curves, "difference": loss_differences,
    }
    found = {}
    # the text stays readable where a phone shrinks the picture to two thirds
    with matplotlib.rc_context({
            "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10, "legend.fontsize": 9.5,
            "xtick.labelsize": 9, "ytick.labelsize": 9, "svg.hashsalt": "npgpt"}):
        for name, draw in drawings.items():
            figure = draw(results, summary)
            if figure is not None:
                buffer = io.BytesIO()
                figure.savefig(buffer, format="svg", metadata={"Date": None})
                found[name] = buffer.getvalue()
    return found


def perplexity(results: Results, summary: Summary) -> Figure | None:
    """Every seed a dot, the mean a bar with its interval; one row for each arm."""
    arms = [arm for arm in summary.arms if arm.losses]
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
        values = [math.exp(loss) for loss in arm.losses.values()]
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


def heat_maps(results: Results, summary: Summary) -> Figure | None:
    """Final entropy of every head as a fraction of the bound, a panel for each arm."""
    arms = [arm for arm in summary.arms if arm.entropy]
    if not arms or summary.bound is None:
        return None
    layers, heads = next(iter(arms[0].entropy.values())).shape
    tall = min(1.7, max(1.0, 1.5 * layers / heads))
    figure, panels = _panels(len(arms), tall)
    for panel, arm in zip(panels, arms):
        part = arm.mean_entropy / summary.bound
        image = panel.imshow(part, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        if layers * heads <= 36:
            for (layer, head), value in np.ndenumerate(part):
                panel.text(head, layer, "NaN" if math.isnan(value) else f"{100 * value:.0f}",
                           ha="center", va="center", fontsize=8,
                           color="white" if not value > 0.55 else "black")
        _title(panel, arm.name)
        panel.set_xticks(_ticks(heads))
        panel.set_yticks(_ticks(layers))
        panel.spines[:].set_visible(False)
    _outer_labels(figure, panels, "head", "layer")
    bar = figure.colorbar(image, ax=panels, location="bottom", shrink=0.7, aspect=35, pad=0.02)
    bar.set_label("attention entropy, fraction of the causal bound")
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25 %", "50 %", "75 %", "100 %"])
    return figure


def layer_means(results: Results, summary: Summary) -> Figure | None:
    """Final entropy by depth beside the paper's, each as a fraction of its own bound."""
    arms = [arm for arm in summary.arms if arm.entropy and arm.paper and arm.paper.layers]
    if not arms or summary.bound is None:
        return None
    figure, panels = _panels(len(arms), 2.0)
    theirs = causal_bound(128)
    for panel, arm in zip(panels, arms):
        assert arm.paper is not None and arm.paper.layers is not None
        for seed, values in arm.entropy.items():
            means = values.mean(axis=1) / summary.bound
            panel.plot(_depth(len(means)), means, color=BLUE, linewidth=1.4, marker="o",
                       markersize=3.5, label="here, a line for each seed")
        printed = np.array(arm.paper.layers) / theirs
        panel.plot(_depth(len(printed)), printed, color=ORANGE, linestyle=(0, (4, 1.5)),
                   linewidth=1.6, marker="s", markersize=3, label="the paper, 12 layers")
        _title(panel, arm.name)
        panel.set_xticks([0, 1], ["first", "last"])
    _fraction_axis(panels)
    _outer_labels(figure, panels, "layer", "entropy, fraction of bound")
    _legend_above(figure, panels[0])
    return figure


def entropy_over_training(results: Results, summary: Summary) -> Figure | None:
    """Mean entropy of every layer at every watched step, a panel for each arm."""
    arms = [(arm, _watched(results, arm.name)) for arm in summary.arms]
    arms = [(arm, runs) for arm, runs in arms if runs]
    if not arms or summary.bound is None:
        return None
    figure, panels = _panels(len(arms), 1.7)
    for panel, (arm, runs) in zip(panels, arms):
        steps, nats = _mean_of_runs(runs)
        by_layer = nats.mean(axis=2) / summary.bound                 # (watched, layers)
        for layer in range(by_layer.shape[1]):
            panel.plot(steps, by_layer[:, layer], linewidth=1.5, label=f"layer {layer}",
                       **_layer_line(layer, by_layer.shape[1]))
        _title(panel, arm.name)
        panel.set_xlim(0, steps[-1])
        panel.set_xticks([0, steps[-1]])
    _fraction_axis(panels)
    _outer_labels(figure, panels, "step", "entropy, fraction of bound")
    _legend_above(figure, panels[0])
    return figure


def loss_curves(results: Results, summary: Summary) -> Figure | None:
    """Validation loss over training: means over seeds, in bands from the least to the largest."""
    curves = {arm.name: _val_curves(results, arm.name) for arm in summary.arms}
    return _curve_panels(curves, summary, "loss, nats per token", zoom=True)


def loss_differences(results: Results, summary: Summary) -> Figure | None:
    """The same minus the first arm's, seed by seed: shows how arms differ, not what all learn."""
    first = _val_curves(results, summary.arms[0].name)
    curves: dict[str, dict[int, Array]] = {}
    for arm in summary.arms[1:]:
        differences = {}
        for seed, curve in _val_curves(results, arm.name).items():
            if seed in first:
                n = min(len(curve), len(first[seed]))
                differences[seed] = np.column_stack(
                    [curve[:n, 0], curve[:n, 1] - first[seed][:n, 1]])
        curves[arm.name] = differences
    return _curve_panels(curves, summary, f"loss minus that of\n{summary.arms[0].name}, nats",
                         zoom=False)


def _curve_panels(curves: dict[str, dict[int, Array]], summary: Summary, label: str,
                  zoom: bool) -> Figure | None:
    names = [name for name, found in curves.items() if found]
    if not names:
        return None
    # few lines in a panel, to tell them apart; the first arm is in all of them, to compare with
    rest = names[1:] if zoom else names
    groups = [rest[start:start + 4] for start in range(0, len(rest), 4)] or [[]]
    if zoom:
        groups = [[names[0], *group] for group in groups]
    figure = new_figure(len(groups), 1, (WIDTH, 0.5 + 2.9 * len(groups)), sharex=True, sharey=True)
    ends, lows = [], []
    for panel, group in zip(figure.axes, groups):
        for n, name in enumerate(group):
            steps, mean, low, high = _band(list(curves[name].values()))
            first = zoom and n == 0
            line = Line(color="#555555", linestyle="-") if first else _line(n - zoom)
            panel.plot(steps, mean, linewidth=1.6, label=name, **line)
            panel.fill_between(steps, low, high, color=line["color"], alpha=0.18, linewidth=0)
            shown = steps >= 0.15 * steps[-1]
            ends.append(float(np.nanmax(high[shown])))
            lows.append(float(np.nanmin(low[shown])))
        panel.set_ylabel(label)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        # outside the axes: a legend must not cover the curves
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False,
                     handlelength=2.6, columnspacing=1.2, borderaxespad=0.2)
    margin = 0.05 * (max(ends) - min(lows)) or 0.01
    figure.axes[0].set_ylim(min(lows) - margin, max(ends) + margin)
    if not zoom:
        for panel in figure.axes:
            panel.axhline(0, color=GREY, linewidth=1)
    figure.axes[-1].set_xlabel("step")
    return figure


def _panels(n: int, height: float) -> tuple[Figure, list[Axes]]:
    """A grid of n panels that share their axes, at most COLUMNS in a row."""
    columns = min(COLUMNS, n)
    rows = -(-n // columns)
    figure = new_figure(rows, columns, (WIDTH, 0.9 + (height + 0.35) * rows), sharex=True,
                        sharey=True)
    for axes in figure.axes[n:]:
        axes.set_visible(False)
    for axes in figure.axes[:n]:
        # a panel with nothing below it must bear its own axis
        axes.tick_params(labelbottom=True)
    return figure, figure.axes[:n]


def _title(panel: Axes, name: str) -> None:
    """The arm's name over its panel, in lines that fit."""
    panel.set_title("\n".join(textwrap.wrap(name, 19)), loc="left", fontsize=9)


def _outer_labels(figure: Figure, panels: Sequence[Axes], x: str, y: str) -> None:
    columns = min(COLUMNS, len(panels))
    for n, panel in enumerate(panels):
        if n + columns >= len(panels):
            panel.set_xlabel(x)
    figure.supylabel(y, fontsize=10)


def _fraction_axis(panels: Sequence[Axes]) -> None:
    panels[0].set_ylim(0, 1.02)
    panels[0].set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50 %", "", "100 %"])
    for panel in panels:
        panel.axhspan(0.75, 1.02, color="#f0f0f0", linewidth=0, zorder=0)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)


def _legend_above(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    once = dict(zip(labels, handles))
    figure.legend(once.values(), once.keys(), loc="outside upper left", ncols=min(4, len(once)),
                  frameon=False, handlelength=2.6, columnspacing=1.2)


def _line(n: int) -> Line:
    return {"color": COLOURS[n % len(COLOURS)], "linestyle": DASHES[n % len(DASHES)]}


def _layer_line(layer: int, layers: int) -> Line:
    """A layer's line: its own colour and dashes if there are few layers, else a colour scale."""
    if layers <= len(COLOURS):
        return _line(layer)
    import matplotlib

    return {"color": matplotlib.colormaps["viridis"](0.9 * layer / (layers - 1)),
            "linestyle": DASHES[layer % 3]}


def _ticks(n: int) -> list[int]:
    return list(range(0, n, max(1, -(-n // 6))))


def _depth(n: int) -> Array:
    return np.linspace(0, 1, n)


def _watched(results: Results, arm: str) -> list[EntropyRecord]:
    return [run["entropy"] for run in results["runs"]
            if run["arm"] == arm and run["status"] == "done" and run["entropy"]]


def _mean_of_runs(runs: list[EntropyRecord]) -> tuple[Array, Array]:
    """Watched steps, and the mean over seeds of the entropies, (watched, layers, heads)."""
    each = [np.array([to_array(layers) for layers in run["nats"]]) for run in runs]
    n = min(len(values) for values in each)
    return np.array(runs[0]["steps"][:n]), np.mean([values[:n] for values in each], axis=0)


def _val_curves(results: Results, arm: str) -> dict[int, Array]:
    """(step, loss) of every evaluation on the way, by seed; of runs that are done."""
    return {run["seed"]: np.array([[step, number(loss)] for step, loss in run["val"]])
            for run in results["runs"]
            if run["arm"] == arm and run["status"] == "done" and run["val"]}


def _band(curves: list[Array]) -> tuple[Array, Array, Array, Array]:
    """Steps, mean, least and largest of curves over the same steps."""
    n = min(len(curve) for curve in curves)
    values = np.array([curve[:n, 1] for curve in curves])
    return curves[0][:n, 0], values.mean(axis=0), values.min(axis=0), values.max(axis=0)
