"""One pass forward and backward, with all that a page shows of it: every step, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..config import GPT2Config
from ..params import Params
from ..probe.trace import Step, inside_attention, record, stream_points
from ..tape import Array


@dataclass(frozen=True)
class Input:
    """What an op was given: another step's output, a parameter, or data such as token ids."""

    name: str
    kind: str
    """entry, parameter or data."""
    array: Array


@dataclass(frozen=True)
class Seen:
    """One entry of the tape, with the gradient of the loss for its output."""

    step: Step
    inputs: tuple[Input, ...]
    gradient: Array | None
    """None where the loss does not depend on it."""

    @property
    def name(self) -> str:
        """The step's name, as `npgpt.probe.trace` gives it."""
        return self.step.name

    @property
    def out(self) -> Array:
        """The step's output."""
        return self.step.out

    @property
    def op(self) -> str:
        """The name of the op."""
        return self.step.entry.op.name


@dataclass(frozen=True)
class Traced:
    """One sequence's pass through a model: ids and targets (1, T), -100 for no target."""

    config: GPT2Config
    params: Params
    ids: Array
    targets: Array
    steps: dict[str, Seen]
    """By name, in the order of execution."""
    grads: Params
    """Gradient of the loss for every parameter."""

    @property
    def length(self) -> int:
        """T."""
        return int(self.ids.shape[1])

    @cached_property
    def stream(self) -> list[str]:
        """The steps whose outputs are the residual stream."""
        return stream_points(self.config)

    @cached_property
    def attention(self) -> list[Params]:
        """q, k, v (H, T, D) and weights (H, T, T) of every layer."""
        return [{name: array[0] for name, array in inside_attention(seen.step).items()}
                for name, seen in self.steps.items() if name.endswith(".attn.mixed")]

    @property
    def logits(self) -> Array:
        """(T, V)."""
        logits: Array = self.steps["logits"].out[0]
        return logits

    @property
    def loss(self) -> float:
        """Mean over the targets, in nats."""
        return float(self.steps["loss"].out)


def traced(params: Params, ids: Array, targets: Array, config: GPT2Config) -> Traced:
    """Pass ids and targets (B, T) through the textbook's layers and back.

    A model with NaN is traced like any other.
    """
    steps: list[Step] = []
    gradients: dict[int, Array] = {}
    with np.errstate(all="ignore"):
        recording = record(params, ids, targets, config, steps.append)
        # an entry's inputs are keys; the names of those that are entries, and of parameters
        names = {key: (name, "entry") for key, name in recording.names.items()}
        names |= {var.key: (name, "parameter") for name, var in recording.watched.items()}
        grads = recording.tape.backward(recording.loss, on_gradient=lambda entry, dout: (
            gradients.__setitem__(entry.out, dout)))
    found = {}
    for step in steps:
        inputs = tuple(
            Input(*((names[key] if key is not None else ("", "data"))), array)
            for key, array in zip(step.entry.inputs, step.inputs) if array is not None)
        found[step.name] = Seen(step, inputs, gradients.get(step.entry.out))
    return Traced(config, params, ids, targets, found,
                  {name: grads[var] for name, var in recording.watched.items()})
