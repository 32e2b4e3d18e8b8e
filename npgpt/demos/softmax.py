"""Softmax and cross-entropy: from logits to probabilities to a loss, and the gradient back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

import numpy as np

from ..display import drawing
from ..display.grids import fit, number
from ..display.terminal import Curve, bar, chart, page, tint, wrapped
from ..ids import check_integer, check_number
from ..layers.contract import Array
from ..layers.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ..layers.softmax import softmax_backward, softmax_forward

WORDS = ("mat", "sofa", "roof", "moon", "idea")
LOGITS = (2.0, 1.0, 0.5, -1.0, -1.5)
CAPTION = """A model's last layer gives every token of the vocabulary a score, its logit. Softmax
    makes them probabilities: exp makes every score positive, and the division by their sum makes
    them add up to 1. Cross-entropy then looks at one of them only, p of the token that really
    came: the loss is -log p. Its gradient is the whole vector p, minus 1 at that token."""
BACK = """How one gets there: -log p has the derivative -1/p for the target's p and 0 for the
    others; softmax's own backward turns that into one gradient per logit. The layer computes
    p - 1[target] at once, which needs no division by a p that may be 0."""
MOST, LARGEST = 12, 1e6


@dataclass(frozen=True, eq=False)
class Prediction:
    """One position's prediction over N tokens; every array is (N,)."""

    tokens: list[str]
    logits: Array
    target: int
    exps: Array
    """exp(logits - max)."""
    p: Array
    loss: float
    gradient: Array
    """dLoss/dlogits, by cross-entropy's own backward."""
    by_parts: Array
    """The same by two backwards: of -log p, then of softmax."""
    after: float
    """The loss after one step of size 1 against the gradient."""
    sweep: Array
    """The target's logit, over a range, the others as they are."""
    losses: Array
    """The loss at each of `sweep`, and in `slopes` its derivative."""
    slopes: Array


def softmax_demo(
    logits: Sequence[float] = LOGITS, target: int = 0, points: int = 401
) -> Prediction:
    """Softmax of logits (N,), the cross-entropy of token `target`, and its gradient, in float64.

    Raises ValueError for fewer than two logits, one that is not finite or beyond LARGEST, and a
    target that is none of them.
    """
    if len(logits) < 2:
        raise ValueError(f"expected at least two logits, got {len(logits)}")
    x = np.array([check_number("logits", logit, finite=True) for logit in logits])
    if np.abs(x).max() > LARGEST:
        raise ValueError(f"expected logits within {LARGEST:g} of 0, got {x[np.abs(x).argmax()]:g}")
    check_integer("target", target, 0, len(x) - 1)
    check_integer("points", points, 2)
    tokens = [*WORDS[:len(x)], *(f"token {n}" for n in range(len(WORDS), len(x)))]
    p, softmax_cache = softmax_forward(x)
    loss, cache = _loss(x, target)
    gradient = _gradient(cache)
    dp = np.zeros_like(p)
    # where p has underflowed to 0, the long way round has no answer
    dp[target] = -1.0 / p[target] if p[target] else np.nan
    (by_parts,) = softmax_backward(dp, softmax_cache)
    after, _ = _loss(x - gradient, target)
    sweep = np.linspace(x.max() - 6.0, x.max() + 6.0, points)
    rows = np.repeat(x[None], points, axis=0)
    rows[:, target] = sweep
    each = [_loss(row, target) for row in rows]
    return Prediction(
        tokens, x, target, np.exp(x - x.max()), p, loss, gradient, by_parts, after, sweep,
        np.array([value for value, _ in each]),
        np.array([_gradient(cache)[target] for _, cache in each]))


def _loss(logits: Array, target: int) -> tuple[float, object]:
    loss, cache = cross_entropy_forward(logits[None], np.array([target]))
    return float(loss), cache


def _gradient(cache: object) -> Array:
    dlogits, _ = cross_entropy_backward(np.ones(()), cache)
    gradient: Array = dlogits[0]
    return gradient


def softmax_text(shown: Prediction, colour: bool = False) -> str:
    """The steps in a table, the gradient by two ways, and loss and slope as curves; 80 columns."""
    lines = [wrapped(CAPTION), "", "What follows 'the cat sat on the'? Five words and their logits:"
             if len(shown.tokens) == len(WORDS) else f"{len(shown.tokens)} tokens:",
             f"{'':12}{'logit':>8}{'exp(logit - max)':>18}{'p':>8}{'p - 1[target]':>15}   p"]
    for n, token in list(enumerate(shown.tokens))[:MOST]:
        mark = ">" if n == shown.target else " "
        line = (f"{mark} {fit(token, 10)}{number(shown.logits[n]):>8}{shown.exps[n]:>18.4f}"
                f"{shown.p[n]:>8.4f}{shown.gradient[n]:>15.4f}   ")
        line += bar(float(shown.p[n]), 16).rstrip()
        lines.append(tint(line, "orange", colour and n == shown.target))
    if len(shown.tokens) > MOST:
        lines.append(f"... {len(shown.tokens) - MOST} more")
    lines.append(f"{'sum':20}{shown.exps.sum():>18.4f}{shown.p.sum():>8.4f}"
                 f"{number(shown.gradient.sum(), 4):>15}")
    token = shown.tokens[shown.target]
    chance = math.log(len(shown.tokens))
    lines += ["", wrapped(
        f"> {token!r} really came: loss = -log {shown.p[shown.target]:.4f} = {shown.loss:.4f} "
        f"nats. A model that knows nothing has log {len(shown.tokens)} = {chance:.4f}."), "",
        wrapped("Read the last column as: how much too high this probability is. A step against "
                f"it lowers every logit but that of {token!r}, the likeliest mistakes most; it "
                "sums to 0, since a constant added to every logit changes nothing. "
                f"One step of size 1 brings the loss to {shown.after:.4f}."), "",
        wrapped(BACK), "",
        f"at once       {_row(shown.gradient)}", f"in two steps  {_row(shown.by_parts)}", "",
        f"{tint('l', 'orange', colour)} loss   {tint('s', 'blue', colour)} its slope, "
        f"p - 1   (over the logit of {token!r}, the others as they are)"]
    high = float(np.ceil(shown.losses.max()))
    step = max(2, math.ceil(high / 5))
    curves = [Curve("l", "orange", shown.sweep, shown.losses),
              Curve("s", "blue", shown.sweep, shown.slopes)]
    lines += chart("", curves, (-1, 0, *range(step, int(high), step), high), colour=colour)[1:]
    lines += ["", wrapped("Confidently wrong, on the left, the slope is nearly -1 and the loss a "
                          "straight line: the gradient is never larger than that. Right, on the "
                          "right, both vanish, and nothing is left to learn.")]
    return page(lines)


def _row(array: Array) -> str:
    more = " ..." if len(array) > 6 else ""
    return "".join(f"{number(x, 4):>9}" for x in array[:6]) + more


def softmax_picture(shown: Prediction) -> drawing.Figure:
    """A Figure of three panels: probabilities, gradient, and the loss over the target's logit."""
    figure = drawing.new_figure(1, 3, (12, 3.8))
    places = range(len(shown.tokens[:MOST]))
    colours = [drawing.ORANGE if n == shown.target else drawing.BLUE for n in places]
    for axes, values, title, label in (
        (figure.axes[0], shown.p, f"softmax of the logits; loss {shown.loss:.3f}", "probability"),
        (figure.axes[1], shown.gradient, "gradient: p - 1[target]", "dloss / dlogit"),
    ):
        bars = axes.bar(places, values[:MOST], color=colours)
        axes.bar_label(bars, fmt="{:.3f}", fontsize=8, padding=2)
        axes.set_xticks(places, [f"{token}\n{number(logit)}" for token, logit in
                                 zip(shown.tokens[:MOST], shown.logits)], fontsize=8)
        axes.axhline(0, color=drawing.GREY, linewidth=0.6)
        axes.margins(y=0.12)
        axes.set(title=title, ylabel=label, xlabel="token and logit; orange: the one that came")
    loss = figure.axes[2]
    loss.plot(shown.sweep, shown.losses, color=drawing.ORANGE, label="loss")
    loss.plot(shown.sweep, shown.slopes, "--", color=drawing.BLUE, label="its slope, p - 1")
    loss.plot(shown.logits[shown.target], shown.loss, "o", color=drawing.ORANGE)
    loss.axhline(0, color=drawing.GREY, linewidth=0.6)
    loss.set(title="the loss over the target's logit",
             xlabel=f"logit of {shown.tokens[shown.target]!r}")
    loss.legend(frameon=False)
    return figure
