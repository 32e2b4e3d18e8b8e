"""Pairs as people write them: what does not follow the layer contract to the letter, made to.

    def conv_forward_naive(x, w, b, conv_param)         a dict among the arrays
    def lstm_forward(x, h, c): ... return h, c, cache   and lstm_backward(dh, dc, cache)
    def relu(x): ... return out                         and relu_grad(dout, x), or relu_grad(x)
    return {"x": dx, "w": dw}                           gradients by name
    def scale_forward(x, *, weight)                     an array by keyword, with a gradient
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..gradcheck.pair import Pair, parameters, to_numpy
from .subject import CallError, Function, Program, Subject, users_code
from .tree import is_array, is_tree, leaves, rebuilt, spellings

DOUTS = ("dout", "dy", "dz", "dh", "da", "dl", "grad", "grad_out", "grad_output", "upstream",
         "d", "g", "delta", "error", "output_gradient", "dvalues")


def pair_subject(
    forward: Function, backward: Function, inputs: Sequence[Any], settings: Mapping[str, Any]
) -> Subject:
    """The Subject of a pair, after one call of it that shows how it is written."""
    given, others, skipped = _sorted_out(forward, inputs, dict(settings))
    subject = Subject(forward, backward, given, others)
    try:
        with users_code():
            result = Pair.call(subject, subject.copies())
    except CallError:  # the examination reports it
        return subject
    several = isinstance(result, tuple) and len(result) > 1
    spread = several and len(result) > 2 and _takes(backward, len(result))
    bare = not several and _wants_inputs(backward, subject.names)
    if several and len(result) != 2 and not spread or not several and not bare:
        return subject      # no pair: the examination says so
    by_keyword = [name for name, value in others.items()
                  if is_array(value) and to_numpy(value).dtype.kind == "f"]
    style = _Style(subject.names, spread, bare, skipped, by_keyword)
    if not (spread or bare or skipped or by_keyword):
        try:
            with users_code():
                out, cache = result
                dout = rebuilt(out, (np.ones(np.shape(value)) for _, value in leaves(out)))
                if not isinstance(backward(dout, cache), Mapping):
                    return subject
        except CallError:
            return subject
    program = Program({"forward": forward, "backward": backward}, style.pair)
    made = Subject(*style.pair(program.functions), given, others)
    made.names, made.by_place = subject.names, subject.by_place
    if by_keyword and style.returns_theirs(made):
        arrays = [others.pop(name) for name in by_keyword]
        bound = {p.name: p.default for p in parameters(forward)
                 if p.default is not p.empty and p.name not in (*subject.names, *by_keyword)}
        others = {**bound, **others}
        given = (*given, *arrays)
        plain = Subject(forward, backward, given, others)
        style.names = [*subject.names, *by_keyword]
        made = Subject(*style.pair(program.functions), given, others)
        made.names, made.by_place = style.names, min(plain.by_place, len(subject.inputs))
        style.by_keyword = []
    elif by_keyword and not (spread or bare or skipped):
        return subject
    made.program, made.op, made.readable = program, subject.op, False
    return made


def _sorted_out(
    forward: Function, inputs: Sequence[Any], settings: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], list[int]]:
    """(arrays, settings, places of what was moved from the inputs to the settings by its name)."""
    names = [p.name for p in parameters(forward)
             if p.kind == p.POSITIONAL_OR_KEYWORD and p.name not in settings]
    moved = [n for n, value in enumerate(inputs) if n < len(names) and n > 0
             and (isinstance(value, (Mapping, str)) or callable(value))]
    settings.update((names[n], inputs[n]) for n in moved)
    return tuple(value for n, value in enumerate(inputs) if n not in moved), settings, moved


def _takes(function: Function, count: int) -> bool:
    needed = [p for p in parameters(function)
              if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(needed) == count


def _wants_inputs(backward: Function, names: Sequence[str]) -> bool:
    """Whether a backward takes the inputs themselves, and perhaps a dout, in place of a cache."""
    own = [p.name for p in parameters(backward)]
    strange = [name for name in own if name not in names]
    return len(own) == 1 or (bool(own) and len(strange) <= 1 and len(own) > len(strange))


class _Style:
    """How a pair is written; `pair` makes one of it that follows the contract."""

    def __init__(
        self, names: Sequence[str], spread: bool, bare: bool, skipped: list[int],
        by_keyword: list[str],
    ) -> None:
        self.names, self.spread, self.bare = list(names), spread, bare
        self.skipped, self.by_keyword = skipped, by_keyword

    def pair(self, functions: Mapping[str, Function]) -> tuple[Function, Function]:
        """(forward, backward) under the contract."""
        def forward(*arrays: Any, **settings: Any) -> Any:
            result = functions["forward"](*arrays, **settings)
            if self.spread:
                return result[:-1], result[-1]
            return (result, dict(zip(self.names, arrays)) | settings) if self.bare else result

        def backward(dout: Any, cache: Any) -> Any:
            grad = functions["backward"]
            if self.bare:
                return self._gradients(self._of_inputs(grad, dout, cache))
            return self._gradients(grad(*dout, cache) if self.spread else grad(dout, cache))

        return forward, backward

    def _of_inputs(self, grad: Function, dout: Any, values: Mapping[str, Any]) -> Any:
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
            return tuple(None if key is None else result[key] for key in found)
        if self.skipped and isinstance(result, tuple) and len(result) == len(
                self.names) + len(self.skipped):
            return tuple(g for n, g in enumerate(result) if n not in self.skipped)
        return result

    def returns_theirs(self, subject: Subject) -> bool:
        """Whether backward returns gradients for the arrays that come by keyword."""
        names = self.names
        self.names = [*names, *self.by_keyword]
        try:
            with users_code():
                out, cache = Pair.call(subject, subject.copies())
                dout = rebuilt(out, (np.ones(np.shape(value)) for _, value in leaves(out)))
                result = subject.backward(dout, cache)
        except CallError:
            return False
        finally:
            self.names = names
        gradients = result if isinstance(result, tuple) else (result,)
        return len(gradients) == len(names) + len(self.by_keyword) and any(
            g is not None for g in gradients[len(names):])
