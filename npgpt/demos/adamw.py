"""AdamW in a valley of two dimensions, with and without bias correction, beside gradient descent.

The valley is (x^2 + steepness * y^2) / 2: flat along x, steep along y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..display import drawing
from ..display.grids import number
from ..display.terminal import WIDTH, page, tint, wrapped
from ..ids import check_integer, check_number
from ..layers.contract import Array
from ..training.step.adamw import adamw_reference, zero_moments

START, STEEPNESS, LR, BETAS, EPS = (-4.0, 1.5), 40.0, 0.2, (0.9, 0.999), 1e-8
DESCENT, CORRECTED, PLAIN = "gradient descent", "AdamW", "AdamW without bias correction"
MARKS = {CORRECTED: ("a", "blue"), PLAIN: ("n", "pink"), DESCENT: ("g", "orange")}
# both corrections, 1 - beta^t, are exactly 1 from here on
_LATE = 2**53
CAPTION = """Every weight has one learning rate, but not one steepness. Gradient descent takes a
    step of lr * gradient: as large as the steep direction can bear, it crawls along the flat one.
    AdamW divides each weight's mean gradient m by the root of its mean square v, so that the first
    step is lr in every direction, steep or flat; then m, a mean over some ten steps, carries it
    on."""
CORRECTION = """m and v begin at 0, so that at first they are too small: after one step m is
    {m:.4g} of the gradient g, and v {v:.4g} of g * g. Bias correction divides each by what is
    missing, 1 - beta^t. Left out, the first step is {m:.4g} / sqrt({v:.4g}) = {ratio:.2f} times
    lr, in every direction, and v stays too small for some 1 / (1 - beta2) = {memory:.0f} steps."""
ROWS, SHOWN = 17, (0, 1, 2, 5, 10, 20, 40, 80, 160)


@dataclass(frozen=True, eq=False)
class Valley:
    """Three ways down."""

    steepness: float
    lr: float
    descent_lr: float
    betas: tuple[float, float]
    paths: dict[str, Array]
    """(steps + 1, 2) points x, y, by name; the first is the start."""
    losses: dict[str, Array]
    """(steps + 1,) heights, by name."""


def adamw_demo(
    steps: int = 80, lr: float = LR, betas: tuple[float, float] = BETAS,
    steepness: float = STEEPNESS,
) -> Valley:
    """Walk down the valley from START by three optimisers, in float64, without weight decay.

    Gradient descent takes 1.75 / steepness, near to the most that does not diverge. Raises
    ValueError for fewer than one step, an lr or steepness that is not positive, and betas outside
    [0, 1).
    """
    check_integer("steps", steps, 1, 100_000)
    for name, value in (("lr", lr), ("steepness", steepness)):
        if check_number(name, value, finite=True) <= 0:
            raise ValueError(f"{name}={value} must be above 0")
    if len(betas) != 2 or not all(0 <= check_number("betas", beta) < 1 for beta in betas):
        raise ValueError(f"expected two betas in [0, 1), got {betas}")
    descent_lr = 1.75 / steepness
    curvature = np.array([1.0, steepness])
    paths = {name: [np.array(START)] for name in MARKS}
    for name, path in paths.items():
        params = {"xy": np.array(START)}
        m, v = zero_moments(params), zero_moments(params)
        for step in range(1, steps + 1):
            gradient = curvature * params["xy"]
            if name == DESCENT:
                params["xy"] -= descent_lr * gradient
            else:
                adamw_reference(params, {"xy": gradient}, m, v, lr=lr, betas=betas, eps=EPS,
                                step=step if name == CORRECTED else _LATE,
                                decay_names=(), weight_decay=0.0)
            path.append(params["xy"].copy())
    stacked = {name: np.stack(path) for name, path in paths.items()}
    losses = {name: (curvature * path**2).sum(axis=-1) / 2 for name, path in stacked.items()}
    return Valley(steepness, lr, descent_lr, betas, stacked, losses)


def adamw_text(shown: Valley, colour: bool = False) -> str:
    """The paths on a map, the first steps, and the heights; 80 columns."""
    keys = "   ".join(tint(f"{letter} {name}", paint, colour)
                      for name, (letter, paint) in MARKS.items())
    lines = [wrapped(CAPTION), "",
             f"The valley: (x^2 + {shown.steepness:g} y^2) / 2; lr {shown.lr:g}, and "
             f"{shown.descent_lr:.3g} for gradient descent", "", keys, *_map(shown, colour),
             "S the start, + the bottom; where paths cross, the first named is drawn", "",
             tint("The first steps, by what they move x and y", "bold", colour),
             f"{'step':>6}{DESCENT:>24}{CORRECTED:>24}{'without correction':>24}"]
    for step in range(1, min(6, len(shown.losses[DESCENT]))):
        moves = [shown.paths[name][step] - shown.paths[name][step - 1]
                 for name in (DESCENT, CORRECTED, PLAIN)]
        lines.append(f"{step:>6}" + "".join(f"{number(x, 4):>14}{number(y, 4):>10}"
                                            for x, y in moves))
    b1, b2 = shown.betas
    lines += ["", wrapped(CORRECTION.format(
        m=1 - b1, v=1 - b2, ratio=(1 - b1) / math.sqrt(1 - b2), memory=1 / (1 - b2))), "",
        tint("The height after so many steps", "bold", colour),
        f"{'step':>6}{DESCENT:>24}{CORRECTED:>24}{'without correction':>24}"]
    last = len(shown.losses[DESCENT]) - 1
    for step in [step for step in SHOWN if step < last] + [last]:
        heights = [shown.losses[name][step] for name in (DESCENT, CORRECTED, PLAIN)]
        lines.append(f"{step:>6}" + "".join(f"{height:>24.3g}" for height in heights))
    best = min(MARKS, key=lambda name: float(shown.losses[name][-1]))
    lines += ["", wrapped(
        f"After {last} steps {best} is lowest. On a bowl that never changes, gradient descent with "
        "an lr chosen for it keeps up; a network has as many steepnesses as weights, and they "
        "change. The W is for weight decay, a pull to 0 beside all this, which is off here.")]
    return page(lines)


def _map(shown: Valley, colour: bool) -> list[str]:
    """The paths seen from above: x to the right, y upwards."""
    low, high = _reach(shown)
    cells = [[" "] * WIDTH for _ in range(ROWS)]

    def place(point: Array, mark: str) -> None:
        right, up = (point - low) / (high - low)
        if 0 <= right <= 1 and 0 <= up <= 1:
            cells[ROWS - 1 - round(up * (ROWS - 1))][round(right * (WIDTH - 1))] = mark

    for name, (letter, paint) in reversed(MARKS.items()):
        path = shown.paths[name]
        for start, end in zip(path, path[1:]):
            # a dot each column or so of the way, and the letter at its end
            for part in np.linspace(0, 1, 12)[1:-1]:
                place(start + part * (end - start), tint(".", paint, colour))
        for point in path[1:]:
            place(point, tint(letter, paint, colour))
    place(np.zeros(2), "+")
    place(np.array(START), "S")
    return ["".join(row) for row in cells]


def _reach(shown: Valley) -> tuple[Array, Array]:
    """The map's corners: all paths, the start and the bottom, and a little more."""
    points = np.vstack([*shown.paths.values(), np.zeros((1, 2))])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def adamw_picture(shown: Valley) -> drawing.Figure:
    """A Figure of two panels: the paths over the valley's contours, and the heights by step."""
    figure = drawing.new_figure(1, 2, (12, 4.4))
    valley, heights = figure.axes
    low, high = _reach(shown)
    x, y = (np.linspace(*ends, 200) for ends in zip(low, high))
    z = (x[None] ** 2 + shown.steepness * y[:, None] ** 2) / 2
    valley.contour(x, y, z, levels=float(z.max()) * np.linspace(0.04, 1, 12) ** 2,
                   colors=drawing.GREY, linewidths=0.5)
    paints = {CORRECTED: drawing.BLUE, PLAIN: drawing.PINK, DESCENT: drawing.ORANGE}
    for name, path in shown.paths.items():
        valley.plot(*path.T, ".-", color=paints[name], linewidth=1, markersize=4, label=name)
        heights.plot(np.maximum(shown.losses[name], 1e-300), color=paints[name], label=name)
    valley.plot(0, 0, "k+", markersize=10)
    valley.set(xlabel="x, the flat direction", ylabel="y, the steep direction",
               title=f"(x^2 + {shown.steepness:g} y^2) / 2 from above".replace("^2", "²"))
    heights.set(xlabel="step", ylabel="height, logarithmic", yscale="log",
                title="height above the bottom")
    heights.legend(frameon=False)
    return figure
