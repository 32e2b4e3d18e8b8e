"""One small tape, entry by entry: values on the way forward, gradients on the way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..display import drawing
from ..display.grids import number
from ..display.terminal import page, tint, wrapped
from ..layers.contract import Array
from ..ops import TEXTBOOK as ops
from ..tape import Entry, Tape, Var

NAMES = ("x", "weight", "bias", "h", "a", "r", "loss")
"""Watched values, then the output of each entry, in the order of writing."""
CAPTION = """Backpropagation is the chain rule, one step at a time. A tape writes down each
    operation as it is computed. Played backwards, each entry is given the gradient of its output
    (dr: by how much the loss changes per unit of each element of r) and passes on the gradient of
    its inputs. No entry knows the others. A gradient has the shape of its value."""
TWICE = """x was used twice, by linear and by residual. A change of x reaches the loss by both ways,
    so its two gradients are added; that is all a tape has to know about calculus."""
HOW = {
    "cross_entropy": "softmax(r) - 1[target], divided by the 2 rows",
    "residual": "an addition passes the gradient on, unchanged, to both",
    "gelu": "each element times GELU's slope there",
    "linear": "dx = dh @ weight.T, dweight = x.T @ dh, dbias: sum",
}
NUDGE = 1e-5


@dataclass(frozen=True)
class Line:
    """One entry of the tape, forward and back."""

    op: str
    inputs: tuple[str, ...]
    out: str
    handed: dict[str, Array] = field(default_factory=dict)
    """The gradient that its backward gives for each input; filled when the tape is played."""


@dataclass(frozen=True, eq=False)
class Played:
    """A tape that was written and played."""

    values: dict[str, Array]
    """Every value, by NAMES."""
    targets: Array
    lines: list[Line]
    """In the order of writing."""
    gradients: dict[str, Array]
    """dLoss/d(value), by NAMES."""
    numeric: float
    """The slope of the loss for weight[0, 0], by moving it a little both ways."""


def backward_demo(seed: int = 92) -> Played:
    """Play the tape of cross_entropy(x + gelu(x @ weight + bias), targets), in float64.

    x (2, 3), weight (3, 3) and bias (3,) are drawn, in steps of 0.1.
    """
    rng = np.random.default_rng(seed)
    drawn = {"x": rng.standard_normal((2, 3)).round(1),
             "weight": rng.standard_normal((3, 3)).round(1),
             "bias": rng.standard_normal(3).round(1)}
    targets = np.array([0, 2])
    values, lines, gradients = dict(drawn), [], {}

    def on_entry(entry: Entry, inputs: tuple[Array | None, ...], out: Array) -> None:
        lines.append(Line(entry.op.name, tuple(NAMES[key] for key in entry.inputs
                                               if key is not None), NAMES[entry.out]))
        values[NAMES[entry.out]] = out

    def on_gradient(entry: Entry, dout: Array) -> None:
        gradients[NAMES[entry.out]] = dout
        (line,) = (line for line in lines if line.out == NAMES[entry.out])
        # once more, to see it: backward may be called twice
        for key, gradient in zip(entry.inputs, entry.op.backward(dout, entry.cache)):
            if key is not None:
                line.handed[NAMES[key]] = np.asarray(gradient)

    tape = Tape(on_entry)
    watched = tape.watch(drawn)
    grads = tape.backward(_loss(watched, targets), on_gradient=on_gradient)
    gradients |= {name: grads[var] for name, var in watched.items()}
    moved = [float(_loss(_nudged(drawn, by), targets)) for by in (NUDGE, -NUDGE)]
    return Played(values, targets, lines, gradients, (moved[0] - moved[1]) / (2 * NUDGE))


def _loss(given: dict[str, Any], targets: Array) -> Any:
    """The network: arrays in, an array out; Vars in, a Var out."""
    h = ops.linear(given["x"], given["weight"], given["bias"])
    return ops.cross_entropy(ops.residual(given["x"], ops.gelu(h)), targets)


def _nudged(values: dict[str, Array], by: float) -> dict[str, Array | Var]:
    moved = values["weight"].copy()
    moved[0, 0] += by
    return {**values, "weight": moved}


def backward_text(shown: Played, colour: bool = False) -> str:
    """The tape written, then played; at the end each value beside its gradient. 80 columns."""
    def title(text: str) -> str:
        return tint(text, "bold", colour)

    lines = [wrapped(CAPTION), "", title("The values that are watched")]
    lines += _side_by_side({name: shown.values[name] for name in NAMES[:3]})
    lines += ["", title("Forward: each operation writes an entry")]
    for n, line in enumerate(shown.lines):
        given = [*line.inputs, f"targets {shown.targets.tolist()}"][:len(line.inputs) + (
            line.op == "cross_entropy")]
        lines += [f"{n}  {line.out} = {line.op}({', '.join(given)})",
                  *_side_by_side({line.out: shown.values[line.out]})[1:]]
    lines += ["", title("Backward: the newest entry first; the loss has gradient 1")]
    for n, line in reversed(list(enumerate(shown.lines))):
        lines += [f"{n}  {line.op} is given d{line.out}: {HOW[line.op]}",
                  *_side_by_side({f"d{name}": array for name, array in line.handed.items()},
                                 "orange", colour)]
    parts = [line.handed["x"] for line in shown.lines if "x" in line.handed]
    lines += ["", wrapped(TWICE)]
    lines += _side_by_side({"dx of residual": parts[1], "dx of linear": parts[0],
                            "dx, their sum": shown.gradients["x"]}, "orange", colour)
    analytic = shown.gradients["weight"][0, 0]
    lines += ["", title("Is it true?"), wrapped(
        f"dweight[0, 0] = {analytic:.6f} claims: raise weight[0, 0] a little, and the loss changes "
        f"{abs(analytic):.4f} times as much. Moved by {NUDGE:g} both ways, the loss has the slope "
        f"{shown.numeric:.6f}. npgpt gradcheck does this for every element.")]
    return page(lines)


def _side_by_side(arrays: dict[str, Array], paint: str = "blue", colour: bool = False) -> list[str]:
    """Small arrays (R, 3) under their names, beside each other."""
    rows = {name: np.atleast_2d(array) for name, array in arrays.items()}
    lines = ["   " + "".join(f"{name:<25}" for name in arrays)]
    for n in range(max(map(len, rows.values()))):
        cells = []
        for name, array in rows.items():
            text = "".join(f"{number(value, 3):>7}" for value in array[n]) if n < len(array) else ""
            cells.append(tint(f"{text:<25}", paint, colour) if text else f"{'':25}")
        lines.append("   " + "".join(cells))
    return lines


# where each value stands in the picture, and each op
_PLACES = {"weight": (0.0, 2.0), "bias": (0.0, 1.0), "x": (0.0, 0.0), "h": (2.2, 1.0),
           "a": (4.4, 1.0), "r": (6.6, 1.0), "loss": (8.6, 1.0)}
_OPS = {"linear": (1.15, 1.0), "gelu": (3.3, 1.0), "residual": (5.5, 1.0),
        "cross_entropy": (7.7, 1.0)}
# half of a box's width
_WIDTHS = {"linear": 0.16, "gelu": 0.13, "residual": 0.2, "cross_entropy": 0.2, "loss": 0.19}
_ARRAY = 0.5


def backward_picture(shown: Played) -> drawing.Figure:
    """A Figure: the graph of values and ops, each value over its gradient."""
    figure = drawing.new_figure(1, 1, (14, 4.6))
    (axes,) = figure.axes
    axes.set_axis_off()
    axes.set(xlim=(-0.7, 9.0), ylim=(-0.45, 2.65))
    for line in shown.lines:
        here = _OPS[line.op]
        for name in line.inputs:
            x, y = _PLACES[name]
            up = float(np.sign(y - here[1]))     # from above, from below, or from the left
            end = (here[0], here[1] + 0.08 * up) if up else (here[0] - _WIDTHS[line.op], here[1])
            _arrow(axes, (x + _ARRAY, y), end, curve=0.12 if line.op == "residual" and up else 0.0)
        x, y = _PLACES[line.out]
        _arrow(axes, here, (x - _WIDTHS.get(line.out, _ARRAY), y))
        axes.text(*here, line.op.replace("_", "\n"), ha="center", va="center", fontsize=9,
                  bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": drawing.GREY})
    for name, (x, y) in _PLACES.items():
        rows = len(np.atleast_2d(shown.values[name]))
        axes.annotate(name, (x, y), (0, 11.5 * rows + 10), textcoords="offset points",
                      ha="center", fontsize=10, weight="bold")
        for array, colour, up in ((shown.values[name], drawing.BLUE, True),
                                  (shown.gradients[name], drawing.ORANGE, False)):
            block = "\n".join("".join(f"{number(value):>6}" for value in row)
                              for row in np.atleast_2d(array))
            axes.annotate(block, (x, y), (0, 4 if up else -4), textcoords="offset points",
                          ha="center", va="bottom" if up else "top", fontsize=8.5,
                          family="monospace", color=colour, linespacing=1.0,
                          bbox={"facecolor": "white", "edgecolor": colour, "pad": 3})
    axes.set_title("blue: values, computed forward.   orange: gradients of the loss, backward; "
                   "x is used twice, and its two gradients add", fontsize=10)
    return figure


def _arrow(
    axes: Any, start: tuple[float, float], end: tuple[float, float], curve: float = 0.0
) -> None:
    axes.annotate("", end, start, zorder=0, arrowprops={
        "arrowstyle": "-|>", "color": drawing.GREY, "shrinkA": 0, "shrinkB": 1,
        "connectionstyle": f"arc3,rad={curve}"})
