"""What happens inside a model, measured in one pass for each sequence: no hooks, any config.

    seen = measure(params, config, ids, targets, ("entropy", "activations", "gradients"))

Entropy and sinks belong to a layer and head, the rest to a layer. Saturation needs no table of
activation functions: the function's own backward gives the slope at every unit, and where that is
below 1e-3 nearly no gradient passes. Sequences go one at a time and are summed in float64: the
numbers do not depend on how many there are. The memory is that of one layer of one sequence, or
that of the whole pass if gradients are asked for.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Collection

import numpy as np

from ..config import GPT2Config
from ..fast.ops import blas_of
from ..layers.linear import linear_forward
from ..layers.silu import silu_backward, silu_forward
from ..ops import TEXTBOOK
from ..params import Params
from ..tape import Array
from .entropy import attention_entropy, causal_bound, sink_weight
from .trace import Step, inside_attention, record, stream_points

PARTS = ("entropy", "activations", "gradients")
# a unit is saturated where the slope of its activation function is smaller than this
SATURATED = 1e-3


@dataclass(frozen=True)
class Units:
    """The outputs of one layer's activation function; of a SwiGLU network, its gate's SiLU."""

    mean: float
    rms: float
    """Root of the mean square."""
    zeros: float
    """Fraction that is exactly 0."""
    saturated: float
    """Fraction at which the function's slope is below 1e-3 in size."""


@dataclass(frozen=True, eq=False)
class Activity:
    """What `measure` found. What was not asked for is empty."""

    length: int
    sequences: int
    nats: Array
    """Attention entropy (L, H) in nats; NaN where a weight of the head was NaN."""
    sink: Array
    """Mean weight on the first position (L, H), by all later ones."""
    stream: list[float]
    """Rms of the residual stream: after the embeddings, then after every block."""
    units: list[Units]
    """Of every layer's activation function."""
    nan: int
    """NaN among all activations, from the embeddings to the loss."""
    inf: int
    """Infinities among them."""
    first_break: str | None
    """The first step, in the order of execution, with a NaN or an infinity; None if there is none.
    """
    gradients: dict[str, float]
    """Norm of the mean loss's gradient for each group of parameters, see `group_of`."""

    @property
    def bound(self) -> float:
        """The highest entropy that a head can have at this length."""
        return causal_bound(self.length)

    @property
    def nan_heads(self) -> int:
        """Heads whose entropy is NaN."""
        return int(np.isnan(self.nats).sum())


def group_of(name: str) -> str:
    """The part of the model that a parameter belongs to.

    Each block has two: h.0.attn and h.0.mlp, with the LayerNorm before it. The others go by their
    own names: wte, wpe, ln_f, lm_head, and mlp.act for a slope that all layers share.
    """
    if name.startswith("h."):
        _, layer, part, *_ = name.split(".")
        return f"h.{layer}.{ {'ln_1': 'attn', 'ln_2': 'mlp'}.get(part, part) }"
    return name.rpartition(".")[0]


def measure(
    params: Params, config: GPT2Config, ids: Array, targets: Array,
    parts: Collection[str] = PARTS[:2],
) -> Activity:
    """Pass ids and targets (N, T) through the model, without dropout, and measure `parts`.

    The parts are "entropy", "activations" and "gradients", the last of which needs a backward pass
    too. Nothing is changed. Raises ValueError for an unknown part, or without a sequence.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ValueError(f"unknown part {unknown[0]!r}; expected some of {', '.join(PARTS)}")
    if ids.ndim != 2 or ids.size == 0 or targets.shape != ids.shape:
        raise ValueError(f"expected ids and targets (N, T), N and T at least 1; got {ids.shape} "
                         f"and {targets.shape}")
    sums = _Sums(config, parts)
    # a model that breaks is looked at too
    with np.errstate(all="ignore"), blas_of(TEXTBOOK, config, ids.shape[1]):
        for row in range(len(ids)):
            recording = record(params, ids[row:row + 1], targets[row:row + 1], config,
                               sums.add, keep="gradients" in parts)
            if "gradients" in parts:
                grads = recording.tape.backward(recording.loss)
                sums.add_gradients({n: grads[v] for n, v in recording.watched.items()})
        return sums.result(ids.shape[1], len(ids))


def update_ratios(before: Params, after: Params) -> dict[str, float]:
    """|after - before| / |before| for each group of parameters, see `group_of`.

    Around 1e-3 is usual while a model learns. A group that was all zeros gives inf, or NaN if it
    has not moved.
    """
    moved = norms({name: after[name] - array for name, array in before.items()})
    size = norms(before)
    return {group: moved[group] / size[group] if size[group]
            else math.inf if moved[group] else math.nan for group in size}


def norms(arrays: Params) -> dict[str, float]:
    """The Euclidean norm of each group of parameters, in float64."""
    squares: dict[str, float] = {}
    for name, array in arrays.items():
        group = group_of(name)
        squares[group] = squares.get(group, 0.0) + _square_sum(array)
    return {group: math.sqrt(square) for group, square in squares.items()}


@dataclass
class _Tally:
    count: int = 0
    total: float = 0.0
    square: float = 0.0
    zeros: int = 0
    saturated: int = 0

    def add(self, out: Array, slope: Array | None = None) -> None:
        self.count += out.size
        self.total += float(out.sum(dtype=np.float64))
        self.square += _square_sum(out)
        self.zeros += out.size - int(np.count_nonzero(out))
        if slope is not None:
            self.saturated += int(np.count_nonzero(np.abs(slope) < SATURATED))

    @property
    def rms(self) -> float:
        return math.sqrt(self.square / self.count)

    def units(self) -> Units:
        return Units(self.total / self.count, self.rms, self.zeros / self.count,
                     self.saturated / self.count)


@dataclass
class _Sums:
    config: GPT2Config
    parts: Collection[str]
    nats: dict[int, Array] = field(default_factory=dict)
    sink: dict[int, Array] = field(default_factory=dict)
    tallies: defaultdict[str, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    nan: int = 0
    inf: int = 0
    breaks: dict[int, str] = field(default_factory=dict)
    grads: Params = field(default_factory=dict)

    def __post_init__(self) -> None:
        # after the embeddings and after every block
        self.stream = stream_points(self.config)[::2]

    def add(self, step: Step) -> None:
        """Add one step of a pass to the sums."""
        if "entropy" in self.parts and step.name.endswith(".attn.mixed"):
            layer = int(step.name.split(".")[1])
            weights = inside_attention(step)["weights"]                # (1, H, T, T)
            self.nats[layer] = self.nats.get(layer, 0.0) + attention_entropy(weights)[0]
            self.sink[layer] = self.sink.get(layer, 0.0) + sink_weight(weights)[0]
        if "activations" not in self.parts:
            return
        name, entry, _, out = step
        bad = out.size - int(np.isfinite(out).sum())
        if bad:
            n_nan = int(np.isnan(out).sum())
            self.nan += n_nan
            self.inf += bad - n_nan
            # the same step has the same key on every tape
            self.breaks[entry.out] = name
        if name in self.stream:
            self.tallies[name].add(out)
        if name.endswith(".mlp.act"):
            (slope, *_) = entry.op.backward(np.ones_like(out), entry.cache)
            self.tallies[name].add(out, np.asarray(slope))
        elif entry.op.name == "swiglu":
            self.tallies[f"{name}.act"].add(*_gate(step))

    def add_gradients(self, grads: Params) -> None:
        for name, grad in grads.items():
            self.grads[name] = self.grads[name] + grad if name in self.grads else grad

    def result(self, length: int, sequences: int) -> Activity:
        layers = range(self.config.n_layer) if "activations" in self.parts else ()
        return Activity(
            length, sequences,
            nats=np.array([self.nats[i] for i in sorted(self.nats)]) / sequences,
            sink=np.array([self.sink[i] for i in sorted(self.sink)]) / sequences,
            stream=[self.tallies[name].rms for name in self.stream if layers],
            units=[self.tallies[f"h.{i}.mlp.act"].units() for i in layers],
            nan=self.nan, inf=self.inf,
            first_break=self.breaks[min(self.breaks)] if self.breaks else None,
            gradients={group: n / sequences for group, n in norms(self.grads).items()},
        )


def _gate(step: Step) -> tuple[Array, Array]:
    """The gate of a SwiGLU network, and the slope of its SiLU."""
    x, weight, bias = step.inputs[:3]
    assert x is not None and weight is not None
    gate, cache = silu_forward(linear_forward(x, weight, bias)[0])
    return gate, silu_backward(np.ones_like(gate), cache)[0]


def _square_sum(array: Array) -> float:
    flat = array.ravel().astype(np.float64)
    return float(flat @ flat)
