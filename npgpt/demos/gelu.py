"""GELU in its two forms, ReLU and SiLU: their values, their derivatives, and the two GELUs' gap.

The derivatives come from the layers' own backward functions, with dout = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..display import drawing
from ..display.terminal import Curve, beside, chart, page, tint, wrapped
from ..layers import gelu, relu, silu
from ..layers.contract import Array

PAIRS = {
    "gelu tanh": (gelu.gelu_forward, gelu.gelu_backward),
    "gelu exact": (gelu.gelu_exact_forward, gelu.gelu_exact_backward),
    "relu": (relu.relu_forward, relu.relu_backward),
    "silu": (silu.silu_forward, silu.silu_backward),
}
CAPTION = """ReLU has a kink at 0. GELU and SiLU are smooth, dip below 0 (GELU to -0.17 near
    x = -0.75, SiLU to -0.28 near -1.28) and still pass a gradient below 0, where ReLU passes
    none."""


@dataclass(frozen=True, eq=False)
class Activations:
    """Four activations over x; every array has the shape of x, (N,)."""

    x: Array
    values: dict[str, Array]
    """By name: "gelu tanh", "gelu exact", "relu", "silu"."""
    slopes: dict[str, Array]
    """Their derivatives, by the same names."""

    @property
    def gap(self) -> Array:
        """gelu tanh - gelu exact."""
        return self.values["gelu tanh"] - self.values["gelu exact"]


def gelu_demo(low: float = -4.0, high: float = 4.0, points: int = 8001) -> Activations:
    """Values and derivatives at `points` places from low to high, in float64."""
    if not low < high or points < 2:
        raise ValueError(f"low={low} must be below high={high}, and points={points} at least 2")
    x = np.linspace(low, high, points)
    values, slopes = {}, {}
    for name, (forward, backward) in PAIRS.items():
        values[name], cache = forward(x)
        (slopes[name],) = backward(np.ones_like(x), cache)
    return Activations(x, values, slopes)


def gelu_text(shown: Activations, colour: bool = False) -> str:
    """A table, both charts, and the gap; 80 columns."""
    picked = [int(np.abs(shown.x - at).argmin()) for at in np.linspace(shown.x[0], shown.x[-1], 9)]
    lines = [wrapped(CAPTION), "", f"{'':8}{'value':^36}{'derivative':^36}",
             f"{'x':>6}  " + "".join(f"{name.removeprefix('gelu '):>9}" for name in PAIRS) * 2]
    for i in picked:
        numbers = [*(a[i] for a in shown.values.values()), *(a[i] for a in shown.slopes.values())]
        lines.append(f"{shown.x[i]:6.2f}  " + "".join(f"{number:9.4f}" for number in numbers))
    lines += ["        tanh, exact: the two forms of GELU", ""]
    marks = {"gelu exact": ("g", "blue"), "silu": ("s", "pink"), "relu": ("r", "green")}
    lines.append("  ".join(tint(f"{letter} {name.removesuffix(' exact')}", paint, colour)
                           for name, (letter, paint) in marks.items())
                 + "   (g: both GELUs; where curves meet, the first is drawn)")
    panels = []
    for title, arrays, ticks in (
        ("value", shown.values, (-0.5, 0, 1, 2, 3, 4)),
        ("derivative", shown.slopes, (-0.25, 0, 0.25, 0.5, 0.75, 1, 1.25)),
    ):
        curves = [Curve(*mark, shown.x, arrays[name]) for name, mark in marks.items()]
        panels.append(chart(title, curves, ticks, width=39, height=16, colour=colour))
    lines += [*beside(*panels), ""]
    lines += chart("gap: GELU tanh - GELU exact", [Curve("*", "orange", shown.x, shown.gap)],
                   (-3e-4, 0, 3e-4, 6e-4), height=10, colour=colour)
    worst = np.abs(shown.gap).argmax()
    lines += ["", f"largest gap {abs(shown.gap[worst]):.2e}, at |x| = {abs(shown.x[worst]):.2f}"]
    return page(lines)


def gelu_picture(shown: Activations) -> drawing.Figure:
    """A Figure of three panels: values, derivatives, gap."""
    figure = drawing.new_figure(1, 3, (12, 3.8))
    styles = {
        "relu": (drawing.GREEN, "-", "ReLU"), "silu": (drawing.PINK, "-", "SiLU"),
        "gelu exact": (drawing.BLUE, "-", "GELU, exact"),
        "gelu tanh": (drawing.YELLOW, "--", "GELU, tanh"),
    }
    values, slopes, gap = figure.axes
    for axes, arrays in ((values, shown.values), (slopes, shown.slopes)):
        for name, (colour, dash, label) in styles.items():
            axes.plot(shown.x, arrays[name], dash, color=colour, label=label)
        axes.axhline(0, color=drawing.GREY, linewidth=0.6)
    values.set(xlabel="x", ylabel="f(x)", title="value")
    values.legend(frameon=False)
    slopes.set(xlabel="x", ylabel="df/dx", title="derivative, by our backward")
    # in units of 1e-4, so that no exponent above the axis pushes the title up
    gap.plot(shown.x, shown.gap * 1e4, color=drawing.ORANGE)
    gap.axhline(0, color=drawing.GREY, linewidth=0.6)
    gap.set(xlabel="x", ylabel="GELU tanh - GELU exact, in 1e-4",
            title=f"gap of the two GELUs: at most {np.abs(shown.gap).max():.1e}")
    return figure
