"""A pair of functions, with the inputs and settings that it is checked on.

Every call gets fresh copies of the arrays and of the random generators, so that a pair that draws
numbers draws the same ones each time, and one that writes into its inputs cannot spoil the next
call.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array


class ContractError(ValueError):
    """The pair does not follow the layer contract, so there is nothing to check."""


class constant(NamedTuple):
    """A float input that has no gradient, such as targets or a mask: `check(f, b, x, constant(t))`.

    backward gives None for it.
    """

    value: Any


@dataclass(frozen=True)
class Pair:
    """forward(*inputs, **settings) -> (out, cache) and backward(dout, cache) -> gradients.

    `floats` are the positions of the inputs that have a gradient, `names` forward's own names.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: tuple[Array | None, ...]
    settings: dict[str, Any]
    names: tuple[str, ...]
    floats: tuple[int, ...]

    @classmethod
    def of(
        cls, forward: Callable[..., Any], backward: Callable[..., Any], inputs: tuple[Any, ...],
        settings: dict[str, Any],
    ) -> Pair:
        """A pair with its inputs as arrays, floats as float64.

        Raises ContractError for an input that is not an array of floats, integers or booleans.
        """
        fixed = [isinstance(value, constant) for value in inputs]
        arrays = tuple(
            as_array(value.value if fix else value) for value, fix in zip(inputs, fixed))
        floats = tuple(i for i, a in enumerate(arrays)
                       if a is not None and a.dtype.kind == "f" and not fixed[i])
        names = argument_names(forward, len(arrays), settings)
        return cls(forward, backward, arrays, settings, names, floats)

    def array(self, position: int) -> Array:
        """One input that is not None."""
        value = self.inputs[position]
        assert value is not None, f"{self.names[position]} is None"
        return value

    def run(self, moved: Array | None = None, position: int = -1) -> tuple[Array, Any]:
        """forward's (out, cache), with `moved` as the input at `position`.

        The other floats take its dtype, so that a complex number can pass through all of forward.
        Raises ContractError unless forward returns two things, the first of them numbers.
        """
        arrays = [None if a is None else a.copy() for a in self.inputs]
        if moved is not None:
            arrays = [a if a is None or a.dtype.kind != "f" else a.astype(moved.dtype)
                      for a in arrays]
            arrays[position] = moved
        settings = {name: _fresh(value) for name, value in self.settings.items()}
        # arrays behind a parameter that is given as a setting go by name
        by_place = _before_settings(self.forward, len(arrays), settings)
        settings.update(zip(self.names[by_place:], arrays[by_place:]))
        result = self.forward(*arrays[:by_place], **settings)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ContractError(f"forward returned {describe(result)}; expected (out, cache)")
        out = to_numpy(result[0])
        if out.dtype.kind not in "fciub" or (moved is None and out.dtype.kind == "c"):
            raise ContractError(f"forward's out is {describe(out)}; expected real numbers")
        return out, result[1]

    def out_as_function_of(self, position: int) -> Callable[[Array], Array]:
        """forward's out as a function of one input."""
        return lambda x: self.run(x, position)[0]

    def gradients(self, dout: Array, cache: Any = None) -> tuple[Any, ...]:
        """What backward gives for dout, as a tuple, after a forward of its own."""
        result = self.backward(dout.copy(), self.run()[1] if cache is None else cache)
        return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def argument_names(
    forward: Callable[..., Any], count: int, settings: dict[str, Any]
) -> tuple[str, ...]:
    """forward's own names for its first `count` arrays; x0, x1, ... where it has none."""
    names, rest = [], "x"
    for parameter in parameters(forward):
        if parameter.kind == parameter.VAR_POSITIONAL:
            rest = parameter.name
        elif parameter.kind != parameter.VAR_KEYWORD and parameter.name not in settings:
            names.append(parameter.name)
    extra = range(count - len(names))
    return tuple((names + [f"{rest}{i}" for i in extra])[:count])


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function; none where Python does not know them."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _before_settings(
    forward: Callable[..., Any], count: int, settings: dict[str, Any]
) -> int:
    """How many of the arrays stand before a parameter that is given by name."""
    for place, parameter in enumerate(parameters(forward)):
        if parameter.name in settings or parameter.kind == parameter.KEYWORD_ONLY:
            return min(place, count)
        if parameter.kind == parameter.VAR_POSITIONAL:
            break
    return count


def as_array(value: Any) -> Array | None:
    """An input as an array of its own, floats as float64; None stays. Raises ContractError."""
    if value is None:
        return None
    array = to_numpy(value)
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    if array.dtype.kind in "iub":
        return array
    raise ContractError(
        f"inputs are arrays of floats, integers or booleans; got {describe(array)}")


def to_numpy(value: Any) -> Array:
    """A value as an array; a tensor of PyTorch is taken off its graph first."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().numpy()
    return np.asarray(value)


def describe(value: Any) -> str:
    """What a value is, for the middle of a sentence."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, (tuple, list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _fresh(value: Any) -> Any:
    """A copy that nobody else holds, or the value itself where it cannot be copied."""
    if value is None or isinstance(value, (bool, int, float, str)) or callable(value):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:   # an open file, a lock: it is shared then, as the caller wrote it
        return value
