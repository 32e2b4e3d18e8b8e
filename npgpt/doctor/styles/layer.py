"""Layers as objects, with `forward(x)` and `backward(dout)`, that keep what they need in `self`.

Every run is that of a copy of the layer, with the inputs of the pair put in for its parameters.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...gradcheck.pair import ContractError, constant
from ..evidence.pair import argument_names
from ..evidence.report import Report
from ..evidence.subject import CallError, Function, Program, Subject, users_code
from ..evidence.tree import is_tree, leaves, rebuilt, spellings
from ..examine import examine
from .parameters import Parameter, parameters

BACKWARDS = ("backward", "backprop", "bprop")
STEPS = ("learning_rate", "lr", "eta", "alpha", "step_size")


def check_layer(layer: object, *inputs: object, **settings: object) -> Report:
    """Examine a layer object: `layer.forward(*inputs, **settings)`, then `layer.backward(dout)`.

    Its parameters are the arrays for which backward leaves a gradient: `self.W` with `self.dW`,
    dicts or lists `params` and `grads`, objects with `.grad`, or what backward returns as
    `dx, dW, db`; in layers inside of it too. The layer is not changed, and gradients in it are
    taken for zero at the start. A loss as a layer, whose backward takes no dout, is right as well.
    Raises ContractError, a ValueError, for an object without the two methods.

    >>> class Square:
    ...     def forward(self, x): self.x = x; return x * x
    ...     def backward(self, dout): return 2 * dout * self.x
    >>> check_layer(Square(), np.array([1.0, -2.0])).ok
    True
    """
    subject, notes = layer_subject(layer, inputs, settings)
    report = examine(subject)
    report.notes += notes
    return report


def layer_subject(
    layer: object, inputs: tuple[object, ...], settings: dict[str, object]
) -> tuple[Subject, list[str]]:
    """The Subject of a layer object, and a note on what of it is not examined."""
    calls = _Calls(layer, len(inputs), settings)
    values = [x.value if isinstance(x, constant) else x for x in inputs]
    found: list[Parameter] = []
    note = ""
    try:
        with users_code():
            trial = calls.trial(values)
        found, note = parameters(layer, *trial, computed=calls.computed())
    except CallError:  # the examination reports it
        pass
    count = len(inputs)

    def pair(functions: Mapping[str, Function]) -> tuple[Function, Function]:
        changed = {n: f for n, f in functions.items() if f is not calls.methods[n]}
        kind = type(calls.kind.__name__, (calls.kind,), changed) if changed else calls.kind

        def forward(*arrays: object) -> tuple[object, object]:
            own = copy.deepcopy(layer)
            if kind is not calls.kind:
                own.__class__ = kind
            for parameter, array in zip(found, arrays[count:]):
                parameter.put(own, array)
            return calls.forward(own, arrays[:count]), own

        def backward(dout: object, cache: object) -> tuple[object, ...]:
            own = copy.deepcopy(cache)  # it keeps gradients in itself, and may add to them
            of_inputs, rest = calls.backward(own, dout)
            gradients = of_inputs + tuple(p.gradient(own, rest, cache) for p in found)
            if calls.takes_dout:
                return gradients
            return tuple(None if g is None else dout * np.asarray(g) for g in gradients)

        return forward, backward

    arrays = (*inputs, *(parameter.get(layer) for parameter in found))
    names = [*calls.labels, *(parameter.name for parameter in found)]

    def missing(name: str) -> str:
        if name in calls.labels:
            return f"{calls.names[1]} returned None, or nothing, for it."
        if name.endswith("]"):
            return f"{calls.names[1]} leaves no gradient for it, such as in " \
                f"grads{name[name.rindex('['):]}."
        own = name.rpartition(".")
        places = ", ".join(f"self.{own[0]}{own[1]}{s}" for s in spellings(own[2])[1:])
        return f"{calls.names[1]} leaves no gradient for it in one of {places}, nor returns it " \
            "behind the input's."

    program = Program(calls.methods, pair, calls.names[0], calls.names[1], missing)
    subject = Subject.of(program, arrays, names, calls.kind.__name__)
    subject.fixed_sizes = True  # of what else the layer holds, nobody knows
    return subject, [note] if note else []


class _Calls:
    """How the methods of a layer object want to be called."""

    def __init__(self, layer: object, count: int, settings: dict[str, object]) -> None:
        self.layer, self.count, self.settings = layer, count, settings
        self.kind = type(layer)
        if isinstance(layer, type):
            raise ContractError(f"expected an object, got the class {layer.__name__}: give an "
                                f"instance, {layer.__name__}(...)")
        self.methods: dict[str, Function] = {
            name: value for base in reversed(self.kind.__mro__[:-1])
            for name, value in vars(base).items() if inspect.isfunction(value)}
        forwards = [n for n in ("forward", "__call__") if n in self.methods]
        backwards = [n for n in BACKWARDS if n in self.methods]
        if not forwards or not backwards:
            raise ContractError(
                f"expected an object with methods forward(x) and backward(dout), got "
                f"{self.kind.__name__} with {', '.join(self.methods) or 'no methods'}")
        self.names = forwards[0], backwards[0]
        self.labels = argument_names(getattr(layer, self.names[0]), count, settings)
        self.takes_dout, self.spread, self.steps = True, False, False

    def trial(self, inputs: list[object]) -> tuple[Any, object, object, object, bool]:
        """What `parameters` needs: forward as a function of a layer, a copy of the layer after a
        run, its out, what backward returned beside the inputs' gradients, whether it steps."""
        own = copy.deepcopy(self.layer)
        out = self.forward(own, inputs)
        wanted = [p for p in inspect.signature(getattr(own, self.names[1])).parameters.values()
                  if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        needed = [p for p in wanted if p.default is p.empty]
        # backward(dout=1) of a loss, in most codebases, never looks at it
        self.takes_dout = bool(needed) or bool(wanted) and np.ndim(out) > 0
        self.steps = len(needed) > 1 and needed[-1].name in STEPS
        self.spread = isinstance(out, tuple) and len(needed) - self.steps == len(out) > 1
        dout = rebuilt(out, (np.ones(np.shape(value)) for _, value in leaves(out)))
        rest = self.backward(own, dout)[1]

        def again(layer: object) -> object:
            return self.forward(layer, inputs)

        return again, own, out, rest, self.steps

    def computed(self) -> set[str]:
        """The local names that backward assigns to."""
        code = getattr(self.methods[self.names[1]], "__code__", None)
        return {*getattr(code, "co_varnames", ())}

    def forward(self, layer: object, arrays: Any) -> Any:
        """What forward returns, with the global random numbers of a seed."""
        state = np.random.get_state()
        np.random.seed(0)
        try:
            return getattr(layer, self.names[0])(*arrays, **copy.deepcopy(self.settings))
        finally:
            np.random.set_state(state)

    def backward(self, layer: object, dout: Any) -> tuple[tuple[object, ...], object]:
        """The gradients of the inputs, and what else backward returned."""
        given = list(dout) if self.spread else [dout] * self.takes_dout
        result = getattr(layer, self.names[1])(*given, *[1.0] * self.steps)
        if result is None:
            names = [f"d{label}" for label in self.labels[:1]] + ["dx"]
            result = next((getattr(layer, name) for name in names if hasattr(layer, name)), None)
        if isinstance(result, Mapping):
            named = tuple(result.get(f"d{label}", result.get(label)) for label in self.labels)
            return named, result
        parts = tuple(result) if is_tree(result) or isinstance(result, tuple) else (result,)
        own, rest = parts[:self.count], parts[self.count:]
        if len(rest) == 1 and is_tree(rest[0]):
            rest = rest[0]
        return own + (None,) * (self.count - len(own)), rest
