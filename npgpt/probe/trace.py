"""One forward and backward pass with every intermediate by name, in the order of execution.

The textbook's composite layers are taken apart, so that the activation between two matrices has a
name too. Per block:

    h.0.ln_1    h.0.attn.c_attn    h.0.attn.{q,k,v} (B, H, T, D)    h.0.attn.weights (B, H, T, T)
    h.0.attn.mixed    h.0.attn.c_proj    h.0.residual_1
    h.0.ln_2    h.0.mlp.c_fc    h.0.mlp.act    h.0.mlp.c_proj    h.0.residual_2

before them embedding.token and embedding.sum, after them ln_f, logits and loss. A SwiGLU network is
one step, h.0.mlp. Without residual connections no step is named residual: see `stream_points`. What
is made from parameters alone bears its op's name: h.0.mlp.c_fc.weight_norm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, NamedTuple

import numpy as np

from .. import model
from ..checked import checked
from ..config import GPT2Config
from ..fast.ops import blas_of
from ..ids import check_batch
from ..layers.attention import causal_attention_forward, split_heads, split_qkv
from ..ops import TEXTBOOK, Ops
from ..params import Params, check_params
from ..tape import Array, Entry, Op, Tape, Var


class Step(NamedTuple):
    """One step of a forward pass."""

    name: str
    entry: Entry
    inputs: tuple[Array | None, ...]
    out: Array


@dataclass
class Recording:
    """A forward pass on a tape that was not played yet."""

    tape: Tape
    loss: Var
    watched: dict[str, Var]
    """The parameters, by name."""
    names: dict[int, str]
    """The name of every step, by the key of its output, in the order of execution."""


@dataclass
class Trace:
    """What one pass computed. Names of activations stand in the order of execution."""

    activations: Params
    dactivations: Params
    """Gradient of the loss for the activations, from the loss back."""
    grads: Params
    """Gradient for each parameter, in the order in which the backward pass completes them."""


def record(
    params: Params, ids: Array, targets: Array, config: GPT2Config,
    on_step: Callable[[Step], None] | None = None, keep: bool = True, ops: Ops = TEXTBOOK,
) -> Recording:
    """Run ids and targets (B, T) forward, onto a new tape; the loss is the cross-entropy alone.

    `on_step` sees each step as it is made. With `keep=False` there is no way back, and the memory
    is that of one layer.
    """
    names = _Names()
    steps: dict[int, str] = {}

    def on_entry(entry: Entry, inputs: tuple[Array | None, ...], out: Array) -> None:
        name = steps[entry.out] = names.of(entry)
        if on_step is not None:
            on_step(Step(name, entry, inputs, out))

    def run_block(params: Mapping[str, Var], layer: int, x: Var, *args: Any, **given: Any) -> Var:
        names.enter(layer)
        return model.block(params, layer, x, *args, **given)

    tape = Tape(on_entry, keep)
    watched = tape.watch(params)
    names.parameters = {var.key: name for name, var in watched.items()}
    loss = model.loss(watched, ids, targets, config, ops=_apart(ops), run_block=run_block)
    return Recording(tape, loss, watched, steps)


@checked
def trace(params: Params, ids: Array, targets: Array, config: GPT2Config) -> Trace:
    """Run ids and targets (B, T) forward and backward with the textbook's layers."""
    check_params(config, params, others=True)
    ids, targets = check_batch(ids, targets, config.vocab_size)
    with blas_of(TEXTBOOK, config, ids.size):
        return _trace(params, ids, targets, config)


def _trace(params: Params, ids: Array, targets: Array, config: GPT2Config) -> Trace:
    activations: Params = {}

    def on_step(step: Step) -> None:
        if step.name.endswith("attn.mixed"):
            stem = step.name.removesuffix("mixed")
            activations.update({stem + part: a for part, a in inside_attention(step).items()})
        activations[step.name] = step.out

    recording = record(params, ids, targets, config, on_step)
    parameters = {var.key: name for name, var in recording.watched.items()}
    dactivations: Params = {}
    # a table used at both ends is complete at the second use; what the loss does not use comes last
    completed: dict[str, None] = {}

    def on_gradient(entry: Entry, dout: Array) -> None:
        dactivations[recording.names[entry.out]] = dout
        for name in (parameters[key] for key in entry.inputs if key in parameters):
            completed.pop(name, None)
            completed[name] = None

    grads = recording.tape.backward(recording.loss, on_gradient=on_gradient)
    order = [*completed, *(name for name in params if name not in completed)]
    return Trace(activations, dactivations,
                 {name: grads[recording.watched[name]] for name in order})


def stream_points(config: GPT2Config) -> list[str]:
    """The steps whose outputs are the residual stream (2 L + 1 of them), in the order of execution.

    Without residual connections they are what each branch gives.
    """
    mlp = "mlp" if config.activation_function == "swiglu" else "mlp.c_proj"
    after = ("residual_1", "residual_2") if config.residual else ("attn.c_proj", mlp)
    return ["embedding.sum", *(f"h.{i}.{name}" for i in range(config.n_layer) for name in after)]


@checked
def first_break(
    params: Params, ids: Array, targets: Array, config: GPT2Config, ops: Ops = TEXTBOOK
) -> str | None:
    """Where NaN or infinity first stands: "h.2.mlp.act", or "the gradient of h.2.mlp.act", as the
    order of execution goes; None where every element is finite.

    ids and targets (B, T) are taken one sequence at a time, to need little memory; a break on the
    way forward comes before every break on the way back.
    """
    check_params(config, params, others=True)
    ids, targets = check_batch(ids, targets, config.vocab_size)
    # by way (0 forward, 1 back) and place on it
    breaks: dict[tuple[int, int], str] = {}

    def note(way: int, place: int, name: str, array: Array) -> None:
        if not np.isfinite(array).all():
            breaks[way, place] = f"the gradient of {name}" if way else name

    with np.errstate(all="ignore"), blas_of(ops, config, ids.shape[1]):
        for row in range(len(ids)):
            recording = record(params, ids[row:row + 1], targets[row:row + 1], config,
                               lambda step: note(0, step.entry.out, step.name, step.out), ops=ops)
            # newest entry first, then the parameters
            grads = recording.tape.backward(recording.loss, on_gradient=lambda entry, dout: note(
                1, -entry.out, recording.names[entry.out], dout))
            for place, (name, var) in enumerate(recording.watched.items()):
                note(1, place, name, grads[var])
    return breaks[min(breaks)] if breaks else None


def inside_attention(step: Step) -> Params:
    """q, k, v (B, H, T, D) and weights (B, H, T, T) of a multi_head_attention's step."""
    (qkv,) = step.inputs
    assert qkv is not None
    q, k, v = (split_heads(part, step.entry.settings["n_head"]) for part in split_qkv(qkv))
    # attending over the unit vectors gives back the weights themselves
    units = np.broadcast_to(np.eye(k.shape[-2], dtype=k.dtype), (*k.shape[:-2], *[k.shape[-2]] * 2))
    weights, _ = causal_attention_forward(q, k, units)
    return {"q": q, "k": k, "v": v, "weights": weights}


class _Composite(Op):
    """An op made of other ops: they are written to the tape, and it is not."""

    def __call__(self, *inputs: object, **settings: object) -> Any:
        return self.forward(*inputs, **settings)


def _apart(ops: Ops) -> Ops:
    """The ops, with the composite layers made of the others, so that each step has a name."""

    def feed_forward(
        x: Var, fc_weight: Var, fc_bias: Var | None, proj_weight: Var, proj_bias: Var | None,
        *slope: Var, activation: str,
    ) -> Var:
        name = {"gelu_new": "gelu", "gelu": "gelu_exact"}.get(activation, activation)
        hidden = ops.linear(x, fc_weight, fc_bias)
        return ops.linear(ops.named()[name](hidden, *slope), proj_weight, proj_bias)

    def linear_cross_entropy(x: Var, weight: Var, targets: Array) -> Var:
        return ops.cross_entropy(ops.unembedding(x, weight), targets)

    return replace(ops, feed_forward=_composite(feed_forward),
                   linear_cross_entropy=_composite(linear_cross_entropy))


def _composite(call: Callable[..., Any]) -> Op:
    # it never is on the tape, so nothing asks for a backward of its own
    return _Composite(call.__name__, forward=call, backward=call)


class _Names:
    """A name for every entry of a tape: that of its parameters, or of its place in the block."""

    _FIXED = {"token_embedding": "embedding.token", "position_embedding": "embedding.sum",
              "unembedding": "logits", "cross_entropy": "loss"}

    def __init__(self) -> None:
        self.parameters: dict[int, str] = {}
        """By key; what is made from parameters alone goes by the first of them."""
        self._layer = self._residuals = 0

    def enter(self, layer: int) -> None:
        """The entries that follow are this block's."""
        self._layer, self._residuals = layer, 0

    def of(self, entry: Entry) -> str:
        """The name of the next entry in the order of execution."""
        own = [self.parameters[key] for key in entry.inputs if key in self.parameters]
        op, block = entry.op.name, f"h.{self._layer}"
        if op in self._FIXED:
            return self._FIXED[op]
        if len(own) == sum(key is not None for key in entry.inputs):
            self.parameters[entry.out] = own[0]
            return f"{own[0].rpartition('.')[0]}.{op}"
        if op == "scale_queries":
            return f"{block}.attn.scaled"
        if op == "multi_head_attention":
            return f"{block}.attn.mixed"
        if op == "residual":
            self._residuals += 1
            return f"{block}.residual_{self._residuals}"
        if op in ("layernorm", "linear"):
            return own[0].rpartition(".")[0]
        return f"{block}.mlp" if op == "swiglu" else f"{block}.mlp.act"
