"""An input's way through the model: every entry of the tape, its shapes, FLOPs and saved bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Iterator, Mapping

import numpy as np

from .. import model
from ..config import SIZES, GPT2Config
from ..display import drawing
from ..display.terminal import bar, bytes_text, count_text, page, tint, wrapped
from ..ids import check_integer
from ..layers.contract import Array
from ..params import parameter_shapes
from ..suggest import unknown
from ..tape import Entry, Tape
from . import OnStep

SMALL = GPT2Config(vocab_size=65, n_positions=32, n_embd=48, n_layer=2, n_head=4,
                   resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
CAPTION = """The lines are in the order of the tape, which backward reads from last to first.
    Each op saves what its backward needs. Attention saves T x T weights for every head, and the
    feed-forward network its hidden layer; a residual saves nothing."""
NOTE = """FLOPs: every multiplication, addition, exp and tanh of forward, by the textbook's layers,
    which compute masked scores too. Backward costs about twice as much: each matmul becomes two,
    one for the input and one for the weights. Saved: an array that two ops save counts once, at
    the first; parameters and token ids do not count. The tape holds the results too, until
    backward has read them."""
# this many blocks are shown one by one; of more, the first stands for the others
FEW_BLOCKS = 2

# operations per element of the output, counted from the formulas
_PER_ELEMENT = {"layernorm": 8, "residual": 1, "position_embedding": 1, "token_embedding": 0}
_PER_ACTIVATION = {"gelu_new": 9, "gelu": 40, "relu": 1, "leaky_relu": 2, "silu": 5}


@dataclass(frozen=True)
class Step:
    """One entry of the tape."""

    op: str
    parameters: str
    """Common prefix of its parameters' names, such as "h.0.attn.c_attn"; "" if it has none."""
    inputs: tuple[tuple[int, ...], ...]
    """Shapes of all inputs, parameters too; a missing bias is left out."""
    out: tuple[int, ...]
    flops: int
    """Of the forward pass."""
    saved: int
    """Bytes saved for backward, but for those of earlier entries, parameters and ids."""


def shapes_demo(
    size: str | GPT2Config = "small", batch: int = 2, length: int | None = None, *,
    on_step: OnStep | None = None,
) -> list[Step]:
    """The tape of one loss, float32, entry by entry, for a config, "small" or a GPT-2 size.

    `length` defaults to 16, at most the context. The parameters are all 0, since shapes and costs
    do not depend on them: that takes next to no memory. `on_step` sees how many entries are done.
    Raises ValueError for an unknown size, and a batch or length outside of its range.
    """
    config = SMALL if size == "small" else size
    if isinstance(config, str):
        if config not in SIZES:
            raise unknown("size", config, ("small", *SIZES))
        config = GPT2Config.named(config)
    length = min(16, config.n_positions) if length is None else length
    check_integer("batch", batch, 1)
    check_integer("length", length, 1, config.n_positions)
    ids = np.zeros((batch, length), np.int64)
    steps: list[Step] = []

    def on_entry(entry: Entry, inputs: tuple[Array | None, ...], out: Array) -> None:
        steps.append(_step(entry, inputs, out, names, seen))
        if on_step is not None:
            on_step(len(steps), 8 * config.n_layer + 4)

    tape = Tape(on_entry)
    watched = tape.watch({name: np.zeros(shape, np.float32)
                          for name, shape in parameter_shapes(config).items()})
    names = {var.key: name for name, var in watched.items()}
    seen = {id(_root(array)) for array in (*(v.value for v in watched.values()), ids)}
    model.loss(watched, ids, ids, config)
    return steps


def _step(
    entry: Entry, inputs: tuple[Array | None, ...], out: Array, names: dict[int, str],
    seen: set[int],
) -> Step:
    own = [names[key] for key in entry.inputs if key in names]
    common = own[0].rpartition(".")[0] if own else ""
    if len({name.rpartition(".")[0] for name in own}) > 1:
        common = common.rpartition(".")[0]
    shapes = tuple(array.shape for array in inputs if array is not None)
    saved = 0
    for array in _arrays(entry.cache):
        root = _root(array)
        if id(root) not in seen:
            seen.add(id(root))
            saved += root.nbytes
    flops = _flops(entry.op.name, shapes, out.shape, entry.settings)
    return Step(entry.op.name, common, shapes, out.shape, flops, saved)


def _arrays(cache: object) -> Iterator[Array]:
    if isinstance(cache, np.ndarray):
        yield cache
    elif isinstance(cache, (tuple, list)):
        for part in cache:
            yield from _arrays(part)


def _root(array: Array) -> Array:
    # a view keeps the whole array alive
    while isinstance(base := array.base, np.ndarray):
        array = base
    return array


def _flops(
    op: str, inputs: tuple[tuple[int, ...], ...], out_shape: tuple[int, ...],
    settings: Mapping[str, Any],
) -> int:
    """Multiplications, additions, exp and tanh of one entry's forward."""
    out, positions = math.prod(out_shape), math.prod(inputs[0][:-1])
    if op == "linear":
        return 2 * positions * math.prod(inputs[1]) + (out if len(inputs) > 2 else 0)
    if op == "multi_head_attention":
        b, t, channels = out_shape
        scores = b * int(settings["n_head"]) * t * t
        # two dot products of length D per score, and five operations for the softmax
        return 4 * b * t * t * channels + 5 * scores
    if op in ("feed_forward", "swiglu"):
        matrices = [math.prod(shape) for shape in inputs[1:] if len(shape) == 2]
        hidden = inputs[1][1]
        each = _PER_ACTIVATION.get(settings.get("activation", "silu"), 1)
        # a bias on each hidden layer, and for swiglu their product
        extra = 1 if op == "feed_forward" else 3
        return positions * (2 * sum(matrices) + hidden * (each + extra)) + out
    if op == "linear_cross_entropy":
        return positions * (2 * math.prod(inputs[1]) + 4 * inputs[1][0])
    return _PER_ELEMENT[op] * out


def shapes_text(shown: list[Step], colour: bool = False, every_block: bool = False) -> str:
    """A table of the tape; of many blocks, the first stands for the others. 80 columns."""
    header = f"{'op':21}{'parameters':17}{'in':>12}{'out':>12}{'FLOPs':>8}{'saved':>10}"
    lines = [wrapped(CAPTION), "", tint(header, "bold", colour)]
    places = _blocks(shown)
    blocks = max(places) + 1
    for step, block in zip(shown, places):
        if block > 0 and blocks > FEW_BLOCKS and not every_block:
            more = tint(f"... {blocks - 1} more blocks like this one", "dim", colour)
            if lines[-1] != more:
                lines.append(more)
            continue
        lines.append(f"{step.op:21}{step.parameters:17}"
                     f"{_shape(step.inputs[0]):>12}{_shape(step.out):>12}"
                     f"{count_text(step.flops):>8}{bytes_text(step.saved):>10}")
    lines.append(tint(f"{f'all {len(shown)} entries':62}"
                      f"{count_text(sum(step.flops for step in shown)):>8}"
                      f"{bytes_text(sum(step.saved for step in shown)):>10}", "bold", colour))
    lines += ["", f"{'part of all':21}{'FLOPs':>24}{'saved':>35}"]
    for kind, flops, saved in _parts(shown):
        lines.append(f"{kind:21}{flops:5.0%} {tint(bar(flops, 22), 'blue', colour)} "
                     f"{saved:5.0%} {tint(bar(saved, 22), 'orange', colour)}")
    lines += ["", wrapped(NOTE)]
    return page(lines)


def _blocks(steps: list[Step]) -> list[int]:
    """The block that each step lies in, by the parameters before it; -1 outside of all."""
    places, block = [], -1
    for step in steps:
        if step.parameters:
            block = int(step.parameters.split(".")[1]) if step.parameters.startswith("h.") else -1
        places.append(block)
    return places


def _parts(steps: list[Step]) -> list[tuple[str, float, float]]:
    """Each kind of op with its fraction of all FLOPs and of all saved bytes."""
    flops, saved = sum(step.flops for step in steps), sum(step.saved for step in steps)
    return [(kind, sum(s.flops for s in steps if s.op == kind) / flops,
             sum(s.saved for s in steps if s.op == kind) / saved)
            for kind in dict.fromkeys(step.op for step in steps)]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def shapes_picture(shown: list[Step]) -> drawing.Figure:
    """A Figure of two panels on one scale: each kind of op's part of FLOPs and of saved bytes."""
    figure = drawing.new_figure(1, 2, (10, 3.6), sharex=True, sharey=True)
    kinds, flops, saved = zip(*reversed(_parts(shown)))
    for axes, values, colour, label, total in (
        (figure.axes[0], flops, drawing.BLUE, "forward FLOPs",
         count_text(sum(step.flops for step in shown))),
        (figure.axes[1], saved, drawing.ORANGE, "memory saved for backward",
         bytes_text(sum(step.saved for step in shown))),
    ):
        bars = axes.barh(kinds, [100 * value for value in values], color=colour)
        axes.bar_label(bars, fmt="{:.1f}", fontsize=8, padding=2)
        axes.margins(x=0.12)
        axes.set(xlabel=f"% of all {label}", title=f"{label}: {total}")
    return figure
