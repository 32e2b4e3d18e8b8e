"""Pairs as people write them: what does not follow the layer contract to the letter, made to.

    def conv_forward_naive(x, w, b, conv_param)         a dict among the arrays
    def lstm_forward(x, h, c): ... return h, c, cache   and lstm_backward(dh, dc, cache)
    def relu(x): ... return out                         and relu_grad(dout, x), or relu_grad(x)
    return {"x": dx, "w": dw}                           gradients by name
    def scale_forward(x, *, weight)                     an array by keyword, with a gradient
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...gradcheck.pair import ContractError, to_numpy
from ..evidence.pair import Pair, parameters
from ..evidence.report import Report
from ..evidence.subject import CallError, Function, Program, Subject, users_code
from ..evidence.tree import is_array, is_tree, leaves, rebuilt, spellings
from ..examine import examine

DOUTS = ("dout", "dy", "dz", "dh", "da", "dl", "grad", "grad_out", "grad_output", "upstream",
         "d", "g", "delta", "error", "output_gradient", "dvalues")


def check(
    forward: Callable[..., object], backward: Callable[..., object], *inputs: object,
    **settings: object,
) -> Report:
    """Examine a pair under the layer contract, and name what is wrong with its gradients.

    forward(*inputs, **settings) -> (out, cache)
    backward(dout, cache) -> a gradient for each input

    Integer and boolean inputs and None have no gradient. Nothing is raised for a wrong gradient:
    read `report.ok`, print the report, or call `report.raise_if_wrong()`. Raises ContractError, a
    ValueError, for inputs that are not numbers.

    >>> def square_forward(x): return x * x, x
    >>> def square_backward(dout, x): return (2 * dout * x,)
    >>> check(square_forward, square_backward, np.array([1.0, -2.0])).ok
    True
    """
    return examine(pair_subject(forward, backward, inputs, settings))


def pair_subject(
    forward: Function, backward: Function, inputs: Sequence[object], settings: Mapping[str, object]
) -> Subject:
    """The Subject of a pair, after one call of it that shows how it is written."""
    given, others, numbers = _sorted_out(forward, inputs, dict(settings))
    subject = Subject(forward, backward, given, others)
    names, style = subject.names, _Style(forward, subject, others)
    program = Program({"forward": forward, "backward": backward}, style.pair)
    try:
        with users_code():
            out = style.look(Pair.call(subject, subject.copies()), backward)
            trial = Subject(*style.pair(program.functions), given, others)
            trial.names, trial.by_place = names, subject.by_place
            dout = rebuilt(out, (np.ones(np.shape(value)) for _, value in leaves(out)))
            returned = trial.backward(dout, Pair.call(trial, trial.copies())[1])
    except (CallError, ContractError):  # the examination reports it
        return subject
    count = len(returned) if isinstance(returned, tuple) else 1
    by_keyword = [name for name, value in others.items()
                  if name in numbers or is_array(value) and to_numpy(value).dtype.kind == "f"]
    if by_keyword and count == len(names) + len(by_keyword) and any(
            g is not None for g in returned[len(names):]):
        style.names = [*names, *by_keyword]
        given = (*given, *(others.pop(name) for name in by_keyword))
        trial = Subject(*style.pair(program.functions), given, others)
        style.floats = trial.floats
        trial.names, trial.by_place = style.names, min(subject.by_place, len(names))
    elif style.is_plain:
        return subject
    trial.program, trial.op, trial.readable = program, subject.op, False
    return trial


def _sorted_out(
    forward: Function, inputs: Sequence[object], settings: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object], list[str]]:
    """(arrays, settings, names of numbers): what is no array among the inputs is a setting by name,
    as are numbers, whose gradient backward may give all the same."""
    names = [p.name for p in parameters(forward)
             if p.kind == p.POSITIONAL_OR_KEYWORD and p.name not in settings]
    moved = [n for n, value in enumerate(inputs) if 0 < n < len(names)
             and (isinstance(value, (Mapping, str, int, float)) or callable(value)
                  or isinstance(value, tuple) and all(isinstance(v, int) for v in value))]
    settings.update((names[n], inputs[n]) for n in moved)
    return (tuple(value for n, value in enumerate(inputs) if n not in moved), settings,
            [names[n] for n in moved if isinstance(inputs[n], float)])


class _Style:
    """How a pair is written; `pair` makes one of it that follows the contract.

    `names` are those of its inputs, `floats` the places of those with a gradient; `skipped` the
    places of settings among them, for which backward may return None; `spread`: several outputs,
    each with a dout of its own; `bare`: no cache, but the inputs themselves; `is_plain`: it follows
    the contract already.
    """

    def __init__(
        self, forward: Function, subject: Subject, settings: Mapping[str, object]
    ) -> None:
        places = [p.name for p in parameters(forward)
                  if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.names, self.floats = list(subject.names), subject.floats
        self.spread, self.bare, self.is_plain = False, False, True
        self.skipped = [n for n, name in enumerate(places) if name in settings]

    def look(self, result: Any, backward: Function) -> object:
        """See from what forward returned how the pair is written; gives the outputs."""
        several = isinstance(result, tuple) and len(result) > 1
        own = [p.name for p in parameters(backward)]
        self.spread = several and len(result) > 2 and len(own) == len(result)
        strange = [name for name in own if name not in self.names]
        self.bare = not several and bool(own) and (
            len(own) == 1 or len(strange) <= 1 and len(own) > len(strange))
        self.is_plain = not self.spread and not self.bare
        if self.is_plain and (not several or len(result) != 2):
            raise ContractError("no pair: the examination says so")
        return result[:-1] if self.spread else result[0] if several else result

    def pair(self, functions: Mapping[str, Function]) -> tuple[Function, Function]:
        """(forward, backward) under the contract."""
        def forward(*arrays: object, **settings: object) -> object:
            result = functions["forward"](*arrays, **settings)
            if self.spread:
                return result[:-1], result[-1]
            return (result, dict(zip(self.names, arrays)) | settings) if self.bare else result

        def backward(dout: Any, cache: Any) -> object:
            grad = functions["backward"]
            if self.bare:
                return self._gradients(self._of_inputs(grad, dout, cache))
            return self._gradients(grad(*dout, cache) if self.spread else grad(dout, cache))

        return forward, backward

    def _of_inputs(self, grad: Function, dout: object, values: Mapping[str, object]) -> object:
        own = [p.name for p in parameters(grad)]
        if len(own) == 1 and own[0] not in values and own[0] not in DOUTS:
            values = {own[0]: values[self.names[0]]}
        result = grad(*(values.get(name, dout) for name in own))
        if all(name in values for name in own):     # it gives the derivative alone
            several = isinstance(result, (tuple, list)) and is_tree(result)
            parts = [None if g is None else dout * np.asarray(g)
                     for g in (result if several else [result])]
            result = tuple(parts) if several else parts[0]
        return result

    def _gradients(self, result: Any) -> Any:
        if isinstance(result, Mapping):
            found = [next((s for s in spellings(name) if s in result), None) for name in self.names]
            if not any(found):
                return result
            self.is_plain = False
            return tuple(None if key is None else result[key] for key in found)
        given = result if isinstance(result, tuple) else (result,)
        if len(given) == len(self.floats) < len(self.names) and not any(g is None for g in given):
            self.is_plain = False   # nothing for ids, flags and constants
            of_floats = dict(zip(self.floats, given))
            return tuple(of_floats.get(i) for i in range(len(self.names)))
        kept = [g for n, g in enumerate(result) if g is not None or n not in self.skipped] \
            if isinstance(result, tuple) else []
        if len(kept) == len(self.names) < len(result):
            self.is_plain = False
            return tuple(kept)
        return result
