"""Why residual connections: how large each layer's gradient is, in deep networks with and without.

Two networks of the same random weights, layer after layer of gelu(x @ W + b): in the plain one the
result replaces x, in the other it is added to x. Then GPT-2's own blocks at their initial weights,
with and without residual connections and LayerNorm. The loss is a cross-entropy with random
targets; the gradients come from the tape.
"""

from __future__ import annotations

import numpy as np

from ..config import GPT2Config
from ..display import drawing
from ..display.terminal import Curve, chart, page, tint, wrapped
from ..ids import check_integer
from ..layers.contract import Array
from ..ops import TEXTBOOK as ops
from ..params import init_params
from ..probe.trace import record, stream_points
from ..tape import Tape, Var

DEPTHS = (6, 12, 24, 48)
BLOCKS = 12
CAPTION = """Without residual connections every layer of the backward pass multiplies the gradient
    by factors below 1: the first layers of a deep network get almost none and do not learn. A
    residual connection passes the gradient on unchanged, and every layer gets some. (The sums grow
    with the depth, and all gradients with them. GPT-2 limits that twice: by LayerNorm before each
    layer, and by scaling the initial matrices that write to the sum by 1 / sqrt(2 * blocks).)"""
IN_GPT2 = f"""GPT-2's blocks, {BLOCKS} of them, untrained: LayerNorm alone makes up for much of what
    is lost without residual connections, since it divides by the size of what has become small;
    without both nothing is left. `npgpt view python-docs --no-residual --norm none` shows
    it."""

WITHOUT, WITH = "without residual connections", "with residual connections"
Gradients = dict[int, Array]
"""Mean |gradient| of each layer's weights, first layer first, (depth,) for each depth."""


def shortcut_demo(
    depths: tuple[int, ...] = DEPTHS, channels: int = 32, batch: int = 16, seed: int = 0
) -> dict[str, Gradients]:
    """Run every depth WITHOUT and WITH residual connections, in float64."""
    for name, value in (("channels", channels), ("batch", batch), *(("depth", d) for d in depths)):
        check_integer(name, value, 1)
    return {kind: {depth: _gradients(depth, channels, batch, seed, residual=kind == WITH)
                   for depth in depths} for kind in (WITHOUT, WITH)}


def _gradients(depth: int, channels: int, batch: int, seed: int, residual: bool) -> Array:
    rng = np.random.default_rng(seed)
    # PyTorch's default for linear layers: uniform up to 1 / sqrt(C), weights and biases alike
    reach = channels ** -0.5
    weights = {f"{layer}": rng.uniform(-reach, reach, (channels, channels))
               for layer in range(depth)}
    biases = rng.uniform(-reach, reach, (depth, channels))
    tape = Tape()
    watched = tape.watch(weights)
    x: Array | Var = rng.standard_normal((batch, channels))
    for weight, bias in zip(watched.values(), biases):
        activated = ops.gelu(ops.linear(x, weight, bias))
        x = ops.residual(x, activated) if residual else activated
    targets = rng.integers(0, channels, batch)
    grads = tape.backward(ops.cross_entropy(x, targets))
    return np.array([np.abs(grads[weight]).mean() for weight in watched.values()])


def blocks_demo(
    blocks: int = BLOCKS, channels: int = 32, seed: int = 0
) -> dict[tuple[bool, bool], Array]:
    """Root mean square of the gradient at the input of each block and after the last, (blocks + 1,)
    in float64, for every (residual connections, LayerNorm) in the blocks of a GPT-2."""
    found = {}
    for residual, norm in ((True, True), (True, False), (False, True), (False, False)):
        config = GPT2Config(vocab_size=50, n_positions=16, n_embd=channels, n_layer=blocks,
                            n_head=4, residual=residual, norm="layernorm" if norm else "none")
        ids, targets = np.random.default_rng(seed).integers(0, 50, (2, 1, 16))
        recording = record(init_params(config, seed, np.float64), ids, targets, config)
        sizes: dict[str, float] = {}
        recording.tape.backward(recording.loss, on_gradient=lambda entry, dout: sizes.update(
            {recording.names[entry.out]: float(np.sqrt((dout * dout).mean()))}))
        found[residual, norm] = np.array([sizes[name] for name in stream_points(config)[::2]])
    return found


def _blocks_table() -> list[str]:
    lines = [wrapped(IN_GPT2), "", f"{'in the blocks':36}{'gradient at the input of':>36}",
             f"{'':36}{'first block':>12}{'last block':>12}{'first/last':>12}"]
    for (residual, norm), sizes in blocks_demo().items():
        has = " and ".join(["residual connections"] * residual + ["LayerNorm"] * norm) or "neither"
        lines.append(f"{has:36}{sizes[0]:12.1e}{sizes[-2]:12.1e}{sizes[0] / sizes[-2]:12.1e}")
    return lines


def shortcut_text(shown: dict[str, Gradients], colour: bool = False) -> str:
    """A table over the depths, a chart of the deepest network, and GPT-2's blocks; 80 columns."""
    lines = [wrapped(CAPTION), "", f"{'':14}{WITHOUT:^32}{WITH:^32}",
             f"{'layers':>8}      {'first':>10}{'last':>10}{'first/last':>12}"
             f"{'first':>12}{'last':>10}{'first/last':>12}"]
    for depth, plain in shown[WITHOUT].items():
        other = shown[WITH][depth]
        lines.append(f"{depth:>8}      "
                     f"{plain[0]:10.1e}{plain[-1]:10.1e}{plain[0] / plain[-1]:12.1e}"
                     f"{other[0]:12.1e}{other[-1]:10.1e}{other[0] / other[-1]:12.2f}")
    lines += ["        first, last: mean |gradient| of that layer's weights", ""]
    deepest = max(shown[WITH])
    if deepest == 1:
        lines.append("A single layer gives no curve to draw: try 6 layers.")
        return page([*lines, "", *_blocks_table()])
    layers = np.arange(1, deepest + 1, dtype=float)
    curves = [Curve("r", "blue", layers, shown[WITH][deepest]),
              Curve("p", "orange", layers, shown[WITHOUT][deepest])]
    lines.append(f"{tint('p', 'orange', colour)} plain   {tint('r', 'blue', colour)} residual   "
                 f"mean |gradient| by layer, {deepest} layers, logarithmic")
    lines += chart("", curves, _decades(curves), colour=colour, log=True)[1:]
    return page([*lines, "", *_blocks_table()])


def _decades(curves: list[Curve]) -> list[float]:
    everything = np.concatenate([curve.y[curve.y > 0] for curve in curves])
    low = int(np.floor(np.log10(everything.min())))
    high = int(np.ceil(np.log10(everything.max())))
    # the ends are labelled, and every so many decades between
    step = max(1, -(-(high - low) // 5))
    return [10.0 ** power for power in range(low, high, step)] + [10.0 ** high]


def shortcut_picture(shown: dict[str, Gradients]) -> drawing.Figure:
    """A Figure of two panels on one logarithmic scale: without and with residual connections.
    """
    figure = drawing.new_figure(1, 2, (9.5, 3.8), sharey=True)
    colours = (drawing.BLUE, drawing.ORANGE, drawing.GREEN, drawing.PINK, drawing.SKY)
    for axes, (title, lines) in zip(figure.axes, shown.items()):
        for number, (depth, gradients) in enumerate(lines.items()):
            axes.plot(np.arange(1, depth + 1), gradients, color=colours[number % len(colours)],
                      marker=".", label=f"{depth} layers" if depth > 1 else "1 layer")
        axes.set(xlabel="layer", yscale="log", title=title)
    figure.axes[0].set_ylabel("mean |gradient| of the weights")
    figure.axes[0].legend(frameon=False)
    return figure
