"""One forward and backward pass with every intermediate by name, in the order of execution.

The textbook's composite layers are taken apart, so that the activation between two matrices has a
name too. Per block:

    h.0.ln_1    h.0.attn.c_attn    h.0.attn.{q,k,v} (B, H, T, D)    h.0.attn.weights (B, H, T, T)
    h.0.attn.mixed    h.0.attn.c_proj    h.0.residual_1
    h.0.ln_2    h.0.mlp.c_fc    h.0.mlp.act    h.0.mlp.c_proj    h.0.residual_2

before them embedding.token and embedding.sum, after them ln_f, logits and loss. A SwiGLU network is
one step, h.0.mlp. What is made from parameters alone bears its op's name: h.0.mlp.c_fc.weight_norm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator

import numpy as np

from .. import model
from ..config import GPT2Config
from ..layers.attention import causal_attention_forward, split_heads, split_qkv
from ..ops import TEXTBOOK as ops
from ..params import Params
from ..tape import Array, Entry, Op, Tape, TapeError, Var

_ACTIVATIONS = {**ops.named(), "gelu_new": ops.gelu, "gelu": ops.gelu_exact}


@dataclass
class Trace:
    """What one pass computed. Names of activations stand in the order of execution."""

    activations: Params
    dactivations: Params
    """Gradient of the loss for the activations, from the loss back."""
    grads: Params
    """Gradient for each parameter, in the order in which the backward pass completes them."""


@dataclass
class Recording:
    """A forward pass on a tape that was not played yet."""

    tape: Tape
    loss: Var
    watched: dict[str, Var]
    """The parameters, by name."""
    names: list[str]
    """A name for every entry of the tape."""

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """(name, entry) in the order of execution."""
        yield from zip(self.names, self.tape.entries)


def record(params: Params, ids: Array, targets: Array, config: GPT2Config) -> Recording:
    """Run ids and targets (B, T) forward with the textbook's layers, onto a new tape."""
    tape = Tape()
    watched = tape.watch(params)
    loss = model.loss(watched, ids, targets, config, ops=_APART)
    names = _Names(watched)
    return Recording(tape, loss, watched, [names.of(entry) for entry in tape.entries])


def walk(
    params: Params, ids: Array, targets: Array, config: GPT2Config,
    visit: Callable[[str, Entry], None],
) -> None:
    """The same pass with no way back: `visit` gets each name and entry as soon as it is made.

    An entry that nobody keeps is freed at once, so that the memory is that of one layer.
    """
    tape = _Passing(visit)
    model.loss(tape.begin(params), ids, targets, config, ops=_APART)


def trace(params: Params, ids: Array, targets: Array, config: GPT2Config) -> Trace:
    """Run ids and targets (B, T) forward and backward with the textbook's layers."""
    recording = record(params, ids, targets, config)
    watched, parameter = recording.watched, _by_var(recording.watched)
    activations: Params = {}
    name_of: dict[int, str] = {}
    for name, entry in recording.entries():
        if name.endswith("attn.mixed"):
            inside = inside_attention(entry)
            activations |= {name.removesuffix("mixed") + part: a for part, a in inside.items()}
        activations[name] = entry.out.value
        name_of[id(entry.out)] = name

    dactivations: Params = {}
    order: list[str] = []

    def visit(entry: Entry, dout: Array, dinputs: tuple[Any, ...]) -> None:
        dactivations[name_of[id(entry.out)]] = dout
        for var in entry.inputs:
            if id(var) in parameter:
                # a table used at both ends is complete at the second use
                name = parameter[id(var)]
                order[:] = [n for n in order if n != name] + [name]

    grads = recording.tape.backward(recording.loss, visit=visit)
    # a parameter that the loss does not use comes last, with its zeros
    order += [name for name in watched if name not in order]
    return Trace(activations, dactivations, {name: grads[watched[name]] for name in order})


def first_break(params: Params, ids: Array, targets: Array, config: GPT2Config) -> str | None:
    """Where NaN or infinity first stands: "h.2.mlp.act", or "the gradient of h.2.mlp.act", as the
    order of execution goes; None where every number is finite.

    ids and targets (B, T) are taken row by row, to need little memory; a break on the way forward
    comes before every break on the way back.
    """
    forward: dict[int, str] = {}
    back: dict[int, str] = {}
    with np.errstate(all="ignore"):
        for row in range(len(ids)):
            recording = record(params, ids[row:row + 1], targets[row:row + 1], config)
            values = [entry.out.value for _, entry in recording.entries()]
            broken = _first_not_finite(values)
            if broken is not None:
                forward[broken] = recording.names[broken]
            elif not forward:
                douts: list[Array] = []
                names: list[str] = []
                name_of = {id(e.out): name for name, e in recording.entries()}

                def visit(entry: Entry, dout: Array, dinputs: tuple[Any, ...]) -> None:
                    douts.append(dout)
                    names.append(name_of[id(entry.out)])

                grads = recording.tape.backward(recording.loss, visit=visit)
                douts += [grads[var] for var in recording.watched.values()]
                names += list(recording.watched)
                broken = _first_not_finite(douts)
                if broken is not None:
                    back[broken] = names[broken]
    if forward:
        return forward[min(forward)]
    return f"the gradient of {back[min(back)]}" if back else None


def inside_attention(entry: Entry) -> Params:
    """q, k, v (B, H, T, D) and weights (B, H, T, T) of a multi_head_attention's entry."""
    n_head = entry.settings["n_head"]
    q, k, v = (split_heads(part, n_head) for part in split_qkv(entry.inputs[0].value))
    # attending over the unit vectors gives back the weights themselves
    units = np.broadcast_to(np.eye(k.shape[-2], dtype=k.dtype), (*k.shape[:-2], *[k.shape[-2]] * 2))
    weights, _ = causal_attention_forward(q, k, units)
    return {"q": q, "k": k, "v": v, "weights": weights}


def _feed_forward(
    x: Any, fc_weight: Any, fc_bias: Any, proj_weight: Any, proj_bias: Any, *slope: Any,
    activation: str,
) -> Any:
    wide = ops.linear(x, fc_weight, fc_bias)
    bent = _ACTIVATIONS[activation](wide, *slope)
    return ops.linear(bent, proj_weight, proj_bias)


def _linear_cross_entropy(x: Any, weight: Any, targets: Array) -> Any:
    return ops.cross_entropy(ops.unembedding(x, weight), targets)


class _Composite(Op):
    """An op made of other ops: they are written to the tape, and it is not."""

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        super().__init__(name, lambda *inputs, **settings: (call(*inputs, **settings), None), _none)
        object.__setattr__(self, "call", call)

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        return self.call(*inputs, **settings)      # type: ignore[attr-defined]


def _none(dout: Array, cache: Any) -> tuple[Any, ...]:
    raise TapeError("a composite op has no backward of its own")


_APART = replace(
    ops, feed_forward=_Composite("feed_forward", _feed_forward),
    linear_cross_entropy=_Composite("linear_cross_entropy", _linear_cross_entropy))


def _by_var(watched: dict[str, Var]) -> dict[int, str]:
    return {id(var): name for name, var in watched.items()}


def _first_not_finite(arrays: list[Array]) -> int | None:
    return next((i for i, array in enumerate(arrays) if not np.isfinite(array).all()), None)


class _Passing(Tape):
    """A tape that hands its entries on and keeps none."""

    def __init__(self, visit: Callable[[str, Entry], None]) -> None:
        super().__init__()
        self._visit = visit

    def begin(self, params: Params) -> dict[str, Var]:
        """Watch the parameters; entries are named after them."""
        watched = self.watch(params)
        self._names = _Names(watched)
        return watched

    def write(
        self, op: Op, inputs: tuple[Any, ...], settings: dict[str, Any], out: Array, cache: Any
    ) -> Var:
        """Hand one entry on."""
        entry = Entry(op, inputs, settings, Var(out, self), cache)
        self._visit(self._names.of(entry), entry)
        return entry.out


class _Names:
    """A name for every entry of a tape: that of its parameters, or of its place in the block."""

    _FIXED = {"token_embedding": "embedding.token", "position_embedding": "embedding.sum",
              "unembedding": "logits", "cross_entropy": "loss"}

    def __init__(self, watched: dict[str, Var]) -> None:
        # what is made from parameters alone stands for the first of them; it is kept here, since
        # the id of what is freed may be another's
        self._stands_for = {id(var): (name, var) for name, var in watched.items()}
        self._residuals = 0

    def of(self, entry: Entry) -> str:
        """The name of the next entry in the order of execution."""
        own = [self._stands_for[id(var)][0] for var in entry.inputs if id(var) in self._stands_for]
        op, layer = entry.op.name, self._residuals // 2
        if op in self._FIXED:
            return self._FIXED[op]
        if op == "multi_head_attention":
            return f"h.{layer}.attn.mixed"
        if op == "residual":
            self._residuals += 1
            return f"h.{layer}.residual_{2 - self._residuals % 2}"
        if op in ("layernorm", "linear"):
            return own[0].rpartition(".")[0]
        if op == "swiglu":
            return f"h.{layer}.mlp"
        if len(own) == sum(isinstance(var, Var) for var in entry.inputs):
            self._stands_for[id(entry.out)] = own[0], entry.out
            return f"{own[0].rpartition('.')[0]}.{op}"
        return f"h.{layer}.mlp.act"
