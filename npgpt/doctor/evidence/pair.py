"""A pair of functions, with the inputs and settings that it is examined on.

Every call gets fresh copies of the arrays and of the random generators, so that a pair that draws
numbers draws the same ones each time, and one that writes into its inputs cannot spoil the next
call.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, Self

from ...arrays import Array
from ...gradcheck.pair import ContractError, as_array, constant, describe, to_numpy


class Pair:
    """forward(*inputs, **settings) -> (out, cache) and backward(dout, cache) -> gradients.

    Inputs become arrays, floats float64. `names` are forward's own names for them, `floats` the
    positions of those that have a gradient. Raises ContractError for an input that is not an array
    of floats, integers or booleans.
    """

    def __init__(
        self, forward: Callable[..., object], backward: Callable[..., Any],
        inputs: Sequence[object], settings: dict[str, object],
    ) -> None:
        self.forward, self.backward, self.settings = forward, backward, settings
        self.names = argument_names(forward, len(inputs), settings)
        self.inputs = tuple(as_array(v.value if isinstance(v, constant) else v, name)
                            for v, name in zip(inputs, self.names))
        self.floats = tuple(
            i for i, (a, v) in enumerate(zip(self.inputs, inputs))
            if a is not None and a.dtype.kind == "f" and not isinstance(v, constant))
        self.by_place = _before_settings(forward, len(inputs), settings)

    def array(self, position: int) -> Array:
        """One input that is not None."""
        value = self.inputs[position]
        assert value is not None, f"{self.names[position]} is None"
        return value

    def with_inputs(self, inputs: Sequence[Array | None]) -> Self:
        """The same pair on other arrays of the same kinds."""
        other = copy.copy(self)
        other.inputs = tuple(map(as_array, inputs))
        return other

    def with_input(self, position: int, array: Array) -> Self:
        """The same pair with another array for one input."""
        return self.with_inputs(self.inputs[:position] + (array,) + self.inputs[position + 1:])

    def copies(self) -> list[Array | None]:
        """Copies of the inputs."""
        return [None if a is None else a.copy() for a in self.inputs]

    def call(self, arrays: Sequence[Array | None]) -> Any:
        """What forward returns for these very arrays."""
        settings = {name: fresh_copy(value) for name, value in self.settings.items()}
        # arrays behind a parameter that is given as a setting go by name
        settings.update(zip(self.names[self.by_place:], arrays[self.by_place:]))
        return self.forward(*arrays[:self.by_place], **settings)

    def call_backward(self, dout: Array, cache: object) -> tuple[object, ...]:
        """What backward returns for this very dout and cache, as a tuple."""
        result = self.backward(dout, cache)
        several = isinstance(result, tuple) or isinstance(result, list) and len(self.inputs) > 1
        return tuple(result) if several else (result,)

    def run(self, arrays: Sequence[Array | None] | None = None) -> tuple[Array, Any]:
        """forward's (out, cache), on copies of the inputs unless `arrays` are given.

        Raises ContractError unless forward returns two things, the first of them numbers.
        """
        result = self.call(self.copies() if arrays is None else arrays)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ContractError(f"forward returned {describe(result)}; the contract asks for two "
                                "things, (out, cache)")
        return to_numpy(result[0]), result[1]

    def gradients(self, dout: Array) -> tuple[Any, ...]:
        """What backward gives for `dout`, after a forward of its own."""
        return self.call_backward(dout.copy(), self.run()[1])

    def out_as_function_of(self, position: int) -> Callable[[Array], Array]:
        """forward's out as a function of one input; the other floats follow its dtype.

        So a complex number can pass through all of forward.
        """
        def function(x: Array) -> Array:
            arrays = [a if a is None or a.dtype.kind != "f" else a.astype(x.dtype)
                      for a in self.copies()]
            arrays[position] = x.copy()
            return self.run(arrays)[0]

        return function


def argument_names(
    forward: Callable[..., object], count: int, settings: Collection[str] = ()
) -> list[str]:
    """forward's own names for its first `count` arrays; x0, x1, ... where it has none."""
    named = [p for p in parameters(forward) if p.name not in settings]
    names = [p.name for p in named if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    rest = next((p.name for p in named if p.kind is p.VAR_POSITIONAL), "")
    extra = count - len(names)
    more = [rest] if rest and extra == 1 else [f"{rest or 'x'}{i}" for i in range(extra)]
    return (names + more)[:count]


def parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    """The parameters of a function; none where Python does not know them."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _before_settings(
    forward: Callable[..., object], count: int, settings: Collection[str]
) -> int:
    """How many of `count` arrays stand before a parameter that is given by name."""
    for place, parameter in enumerate(parameters(forward)):
        if parameter.kind == parameter.VAR_POSITIONAL:
            break
        if parameter.name in settings or parameter.kind == parameter.KEYWORD_ONLY:
            return min(place, count)
    return count


def fresh_copy(value: object) -> Any:
    """A copy that nobody else holds, or the value itself where it cannot be copied."""
    try:
        return value if callable(value) else copy.deepcopy(value)
    except Exception:   # an open file, a lock: it is shared then, as the caller wrote it
        return value
