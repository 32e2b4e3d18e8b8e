"""LayerNorm on a small batch: every row comes out with mean 0 and variance 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..display import drawing
from ..display.grids import number
from ..display.terminal import WIDTH, page, tint, wrapped
from ..layers.contract import Array
from ..layers.layernorm import layernorm_forward

CAPTION = """Each row is one position with its own mean and spread. LayerNorm removes both, row by
    row. The variance divides by C (biased), as in GPT-2: it comes out as 1, or a little less where
    it was so small that eps matters. Divided by C-1 (unbiased) the same row has variance
    C/(C-1)."""


class Rows(NamedTuple):
    """A batch (N, C), and the statistics of its rows, (N,) each."""

    batch: Array
    mean: Array
    var: Array
    """Biased: divided by C."""
    unbiased: Array
    """Divided by C - 1."""


def layernorm_demo(
    x: Array | None = None, weight: Array | None = None, bias: Array | None = None, *,
    eps: float = 1e-5, seed: int = 0,
) -> dict[str, Rows]:
    """x (N, C) "before" and "after" LayerNorm; by default three drawn rows of six channels.

    Those differ in mean and spread. weight (C,) defaults to ones and bias (C,) to zeros: then the
    means are 0 and the variances 1, but for eps. ValueError unless x has two axes and at least two
    channels.
    """
    if x is None:
        drawn = np.random.default_rng(seed).standard_normal((3, 6))
        x = drawn * np.array([[4.0], [0.3], [1.0]]) + np.array([[0.0], [4.0], [-3.0]])
    if x.ndim != 2 or x.shape[1] < 2:
        raise ValueError(f"expected a batch (N, C) with C at least 2, got {x.shape}")
    weight = np.ones(x.shape[1]) if weight is None else weight
    bias = np.zeros(x.shape[1]) if bias is None else bias
    out, _ = layernorm_forward(x, weight, bias, eps=eps)
    return {name: Rows(batch, batch.mean(axis=1), batch.var(axis=1), batch.var(axis=1, ddof=1))
            for name, batch in (("before", x), ("after", out))}


def layernorm_text(shown: dict[str, Rows], colour: bool = False) -> str:
    """Both batches with their statistics, and each row on a line of numbers; 80 columns."""
    lines = [wrapped(CAPTION)]
    for name, rows in shown.items():
        n_channels = rows.batch.shape[1]
        lines += ["", f"{f'{name} (C = {n_channels})':<52}{'mean':>8}{'var':>9}{'unbiased':>10}"]
        for n, (row, mean, var, unbiased) in enumerate(zip(*rows), start=1):
            numbers = "".join(f"{number(x, 3, 6):>7}" for x in row[:6])
            more = " .." if n_channels > 6 else ""
            lines.append(f"row {n:<3}{numbers + more:<45}{number(mean, 3):>8}"
                         f"{number(var, 5, 8):>9}{number(unbiased, 5, 9):>10}")
    reach = max(float(np.abs(rows.batch).max()) for rows in shown.values()) or 1.0
    lines += ["", f"o a channel, {tint('|', 'orange', colour)} the mean"
                  f", {tint('[ ]', 'orange', colour)} one standard deviation to each side"]
    for name, rows in shown.items():
        for n, row in enumerate(rows.batch):
            lines.append(f"{name if n == 0 else '':7}{n + 1:>3} " + _strip(row, reach, colour))
    columns = WIDTH - 11
    lines.append(" " * 11 + f"{-reach:.4g}".ljust(columns // 2) + "0"
                 + f"{reach:.4g}".rjust(columns - columns // 2 - 1))
    return page(lines)


def _strip(row: Array, reach: float, colour: bool) -> str:
    columns = WIDTH - 11
    cells = ["."] * columns

    def place(value: float, mark: str) -> None:
        at = round((value + reach) / (2 * reach) * (columns - 1))
        if 0 <= at < columns:
            cells[at] = mark

    for value in row:
        place(value, "o")
    mean, std = float(row.mean()), float(row.std())
    place(mean - std, tint("[", "orange", colour))
    place(mean + std, tint("]", "orange", colour))
    place(mean, tint("|", "orange", colour))
    return "".join(cells)


def layernorm_picture(shown: dict[str, Rows]) -> drawing.Figure:
    """A Figure of two panels on one scale: the batch before and after."""
    figure = drawing.new_figure(1, 2, (9, 3.8), sharey=True)
    for axes, (name, rows) in zip(figure.axes, shown.items()):
        places = np.arange(1, len(rows.batch) + 1)
        for n, row in zip(places, rows.batch):
            axes.plot(np.full(len(row), n), row, "o", color=drawing.BLUE, alpha=0.7,
                      label="a channel" if n == 1 else None)
        axes.errorbar(places + 0.2, rows.mean, np.sqrt(rows.var), fmt="s", capsize=5,
                      color=drawing.ORANGE, label="mean, one standard deviation")
        axes.axhline(0, color=drawing.GREY, linewidth=0.6)
        axes.set(xlabel="row of the batch", title=f"{name} LayerNorm", xticks=places)
        axes.set_xlim(0.5, len(places) + 0.7)
    figure.axes[0].set_ylabel("value of a channel")
    figure.axes[1].legend(frameon=False)
    return figure
