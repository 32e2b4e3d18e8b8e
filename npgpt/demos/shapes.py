"""An input's way through the model: every entry of the tape, its shapes, FLOPs and bytes kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Iterator

import numpy as np

from .. import model
from ..config import SIZES, GPT2Config
from ..layers.contract import Array
from ..params import init_params
from ..tape import Entry, Tape
from . import drawing
from .terminal import bytes_text, count_text, tint, wrapped

SMALL = GPT2Config(vocab_size=65, n_positions=32, n_embd=48, n_layer=3, n_head=4,
                   resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
LOOK = """The lines stand in the order of the tape, which backward reads from the last to the first.
    What is kept waits in memory for it: attention keeps T x T weights for every head, and the
    feed-forward network its wide layer. FLOPs count each multiplication, addition, exp and tanh."""

# operations per number of the output, counted from the formulas
_PER_NUMBER = {"layernorm": 8, "residual": 1, "position_embedding": 1, "token_embedding": 0}
_PER_ACTIVATION = {"gelu_new": 9, "gelu": 40, "relu": 1, "leaky_relu": 2, "silu": 5}


@dataclass(frozen=True)
class Step:
    """One entry of the tape."""

    op: str
    parameters: str
    """Common beginning of its parameters' names, such as "h.0.attn.c_attn"; "" if it has none."""
    inputs: tuple[tuple[int, ...], ...]
    """Shapes of what goes in, parameters left out."""
    out: tuple[int, ...]
    flops: int
    """Of the forward pass."""
    kept: int
    """Bytes kept for backward that no earlier entry keeps; parameters and ids do not count."""


def shapes_demo(
    what: str | GPT2Config = "small", batch: int = 2, length: int | None = None, seed: int = 0
) -> list[Step]:
    """The tape of one loss, float32, entry by entry, for a config, "small" or a GPT-2 size.

    `length` defaults to 16, at most the context. ValueError for what does not fit.
    """
    config = what if isinstance(what, GPT2Config) else _config(what)
    length = min(16, config.n_positions) if length is None else length
    if batch < 1 or not 1 <= length <= config.n_positions:
        raise ValueError(f"batch={batch} must be at least 1, and length={length} lie between 1 and "
                         f"n_positions={config.n_positions}")
    rng = np.random.default_rng(seed)
    ids, targets = rng.integers(0, config.vocab_size, (2, batch, length))
    tape = Tape()
    watched = tape.watch(init_params(config, seed))
    model.loss(watched, ids, targets, config)
    names = {id(var): name for name, var in watched.items()}
    seen = {_owner(array) for array in (*(v.value for v in watched.values()), ids, targets)}
    return [_step(entry, names, seen) for entry in tape.entries]


def _config(name: str) -> GPT2Config:
    if name == "small":
        return SMALL
    if name not in SIZES:
        raise ValueError(f"{name!r} is no model; there are small, {', '.join(SIZES)}")
    return GPT2Config.named(name)


def _step(entry: Entry, names: dict[int, str], seen: set[int]) -> Step:
    own = [names[id(v)] for v in entry.inputs if id(v) in names]
    common = own[0].rpartition(".")[0] if own else ""
    if len({name.rpartition(".")[0] for name in own}) > 1:
        common = common.rpartition(".")[0]
    shapes = tuple(np.shape(getattr(v, "value", v)) for v in entry.inputs
                   if v is not None and id(v) not in names)
    kept = 0
    for array in _arrays(entry.cache):
        owner = _owner(array)
        if owner not in seen:
            seen.add(owner)
            kept += _root(array).nbytes
    return Step(entry.op.name, common, shapes, entry.out.shape, _flops(entry), kept)


def _arrays(cache: Any) -> Iterator[Array]:
    if isinstance(cache, np.ndarray):
        yield cache
    elif isinstance(cache, (tuple, list)):
        for part in cache:
            yield from _arrays(part)


def _root(array: Array) -> Array:
    # a view keeps all of the array that it looks at
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _owner(array: Array) -> int:
    return int(_root(array).__array_interface__["data"][0])


def _flops(entry: Entry) -> int:
    """Multiplications, additions, exp and tanh of one entry's forward."""
    op, out = entry.op.name, math.prod(entry.out.shape)
    shapes = [np.shape(getattr(v, "value", v)) for v in entry.inputs if v is not None]
    positions = math.prod(shapes[0][:-1])
    if op == "linear":
        return 2 * positions * math.prod(shapes[1]) + (out if len(shapes) > 2 else 0)
    if op == "multi_head_attention":
        b, t, channels = entry.out.shape
        scores = b * entry.settings["n_head"] * t * t
        # two products of D per score, and a handful of operations for the softmax
        return 4 * b * t * t * channels + 5 * scores
    if op in ("feed_forward", "swiglu"):
        matrices = [math.prod(shape) for shape in shapes[1:] if len(shape) == 2]
        wide = max(shape[0] for shape in shapes[1:] if len(shape) == 1)
        each = _PER_ACTIVATION.get(entry.settings.get("activation", "silu"), 5)
        return positions * (2 * sum(matrices) + wide * (each + 1))
    if op == "linear_cross_entropy":
        vocab = shapes[1][0]
        return positions * (2 * math.prod(shapes[1]) + 4 * vocab)
    return _PER_NUMBER.get(op, 1) * out


def shapes_text(shown: list[Step], colour: bool = False, every_block: bool = False) -> str:
    """A table of the tape, the first block standing for the others; 80 columns."""
    lines = [wrapped(LOOK), "", f"{'op':22}{'parameters':18}{'out':>16}{'FLOPs':>11}{'kept':>12}"]
    blocks = 1 + max(_block(step) for step in _placed(shown))
    for number, step in enumerate(_placed(shown)):
        if not every_block and _block(step) > 0:
            if _block(step) == 1 and _block(list(_placed(shown))[number - 1]) == 0:
                lines.append(tint(f"... {blocks - 1} more blocks like this one", "dim", colour))
            continue
        lines.append(f"{step.op:22}{step.parameters:18}{_shape(step.out):>16}"
                     f"{count_text(step.flops):>11}{bytes_text(step.kept):>12}")
    total = f"{'all ' + str(len(shown)) + ' entries':56}" + (
        f"{count_text(sum(s.flops for s in shown)):>11}{bytes_text(sum(s.kept for s in shown)):>12}")
    lines += [tint(total, "bold", colour), "",
              wrapped("Backward costs about twice the FLOPs of forward: a matrix product becomes "
                      "two, one for the input and one for the weights.")]
    return "\n".join(line.rstrip() for line in lines)


def _placed(steps: list[Step]) -> list[Step]:
    """The steps, those without parameters of their own named after the block they lie in."""
    placed, block, residuals = [], "", 0
    for step in steps:
        name = step.parameters
        if name.startswith("h."):
            block = ".".join(name.split(".")[:2])
        elif step.op in ("residual", "multi_head_attention"):
            name = block
        placed.append(Step(step.op, name, step.inputs, step.out, step.flops, step.kept))
    return placed


def _block(step: Step) -> int:
    return int(step.parameters.split(".")[1]) if step.parameters.startswith("h.") else -1


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def shapes_picture(shown: list[Step]) -> Any:
    """A Figure of two panels: FLOPs and bytes kept, by kind of op."""
    figure = drawing.new_figure(1, 2, (9.5, 3.6), sharey=True)
    kinds = list(dict.fromkeys(step.op for step in shown))[::-1]
    flops = [sum(s.flops for s in shown if s.op == kind) / 1e6 for kind in kinds]
    kept = [sum(s.kept for s in shown if s.op == kind) / 2**20 for kind in kinds]
    for axes, values, colour, label in (
        (figure.axes[0], flops, drawing.BLUE, "million FLOPs, forward"),
        (figure.axes[1], kept, drawing.ORANGE, "MiB kept for backward"),
    ):
        bars = axes.barh(kinds, values, color=colour)
        axes.bar_label(bars, fmt="{:.3g}", fontsize=8, padding=2)
        axes.margins(x=0.12)
        axes.set_xlabel(label)
    return figure
