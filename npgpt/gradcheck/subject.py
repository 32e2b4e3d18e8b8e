"""A pair of functions with the inputs and settings that it is examined on.

Every call gets fresh copies of the arrays and of the random generators, so that a pair that draws
numbers draws the same ones each time, and one that writes into its inputs cannot spoil the next
call.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from .numeric import EPSILON, Array, norm


class ContractError(ValueError):
    """The pair does not keep the layer contract, so there is nothing to examine."""


class CallError(Exception):
    """The user's own code raised; `error` is what."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@contextlib.contextmanager
def users_code() -> Iterator[None]:
    """What the code inside raises becomes a CallError, so that nobody need catch more."""
    try:
        yield
    except (ContractError, CallError):
        raise
    except Exception as error:
        raise CallError(error) from error


class Subject:
    """`forward` and `backward` under the layer contract, their `inputs` and `settings`.

    Floating inputs are taken to float64 (complex ones are rejected). `names` are forward's own
    names for its arrays; `floats` are the positions of the inputs that have a gradient; `readable`
    is false if the source of the pair is not the user's own; `users` are the functions whose code
    is; `epsilon` is the precision that forward was seen to compute in.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        inputs: tuple[Any, ...],
        settings: dict[str, Any],
    ) -> None:
        self.forward, self.backward, self.settings = forward, backward, settings
        self._take(inputs)
        self.names = argument_names(forward, len(inputs), settings)
        self.positional = _positional(forward, len(inputs), settings)
        self.op = op_name(forward)
        self.readable = True
        self.users: tuple[Callable[..., Any], ...] = (forward, backward)
        self.epsilon = EPSILON

    def _take(self, inputs: tuple[Any, ...]) -> None:
        self.inputs = tuple(_as_array(value) for value in inputs)
        self.floats = tuple(
            i for i, a in enumerate(self.inputs) if a is not None and a.dtype.kind == "f"
        )

    def shape(self, position: int) -> tuple[int, ...]:
        """The shape of one input."""
        return self.array(position).shape

    def array(self, position: int) -> Array:
        """One input that is not None."""
        value = self.inputs[position]
        assert value is not None, f"{self.names[position]} is None"
        return value

    def scale(self, position: int, out: Array, dout: Array) -> float:
        """The length that the gradient of one input could have: ||dout|| ||out|| / ||x||."""
        x = self.array(position)
        size = max(norm(x), 1e-3 * float(np.sqrt(x.size)), 1e-300)
        # in float64: the length of a float16 array overflows
        return norm(dout) * max(norm(out.astype(np.float64)), 1e-300) / size

    def with_input(self, position: int, array: Array) -> Subject:
        """The same pair with another array for one input."""
        return self.with_inputs(
            self.inputs[:position] + (array,) + self.inputs[position + 1 :])

    def each(self, change: Callable[[Array], Array]) -> Subject:
        """The same pair with every array changed."""
        return self.with_inputs(tuple(None if a is None else change(a) for a in self.inputs))

    def cut(self, sizes: dict[int, int]) -> Subject:
        """The same pair with every axis of a length in `sizes` cut to what it says there."""

        def shorter(a: Array) -> Array:
            for axis, n in enumerate(a.shape):
                a = a.take(range(sizes.get(n, n)), axis)
            return a

        return self.each(shorter)

    def moved(self, far: float, rng: np.random.Generator) -> Subject:
        """The same pair at other values: normal noise of scale `far` on every float."""
        return self.each(
            lambda a: a + far * rng.standard_normal(a.shape) if a.dtype.kind == "f" else a)

    def with_inputs(self, inputs: tuple[Any, ...]) -> Subject:
        """The same pair on other inputs."""
        other = copy.copy(self)
        other._take(inputs)
        return other

    def fresh_settings(self) -> dict[str, Any]:
        """The settings, with generators and other live objects copied for this one call."""
        return {name: fresh_copy(value) for name, value in self.settings.items()}

    def call(self, arrays: list[Array | None]) -> Any:
        """What forward returns for these very arrays, no copies."""
        settings = self.fresh_settings()
        settings.update(zip(self.names[self.positional:], arrays[self.positional:], strict=True))
        with users_code():
            return self.forward(*arrays[:self.positional], **settings)

    def copies(self, inputs: tuple[Array | None, ...] | None = None) -> list[Array | None]:
        """Copies of the inputs, or of others in their place."""
        return [None if a is None else a.copy() for a in inputs or self.inputs]

    def run(self, inputs: tuple[Array | None, ...] | None = None) -> tuple[Array, Any]:
        """forward on copies of the inputs: (out as an array, cache)."""
        result = self.call(self.copies(inputs))
        if not isinstance(result, tuple) or len(result) != 2:
            raise ContractError(
                f"forward of {self.op} returned {describe(result)}; the contract asks for two "
                f"things, (out, cache)"
            )
        with users_code():
            return np.asarray(result[0]), result[1]

    def out_as_function_of(self, position: int) -> Callable[[Array], Array]:
        """forward's output as a function of one input; the other floats follow its dtype."""

        def function(x: Array) -> Array:
            inputs = tuple(
                (
                    x
                    if i == position
                    else a.astype(x.dtype) if a is not None and a.dtype.kind == "f" else a
                )
                for i, a in enumerate(self.inputs)
            )
            return self.run(inputs)[0]

        return function

    def gradients(self, dout: Array) -> tuple[Any, ...]:
        """What backward returns for `dout`, after a forward of its own."""
        return self.call_backward(dout.copy(), self.run()[1])

    def call_backward(self, dout: Array, cache: Any) -> tuple[Any, ...]:
        """What backward returns for this very dout and cache, as a tuple."""
        with users_code():
            result = self.backward(dout, cache)
        return result if isinstance(result, tuple) else (result,)


def argument_names(
    forward: Callable[..., Any], count: int, settings: Collection[str] = ()
) -> list[str]:
    """forward's own names for its first `count` arrays; x0, x1, ... where it has none."""
    names: list[str] = []
    rest = ""
    for parameter in parameters(forward):
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names += [parameter.name] * (parameter.name not in settings)
        elif parameter.kind == parameter.VAR_POSITIONAL:
            rest = parameter.name
    extra = count - len(names)
    more = [rest] if rest and extra == 1 else [f"{rest or 'x'}{i}" for i in range(extra)]
    return (names + more)[:count]


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function; none where Python does not know them."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _positional(forward: Callable[..., Any], count: int, settings: Collection[str]) -> int:
    """How many of its `count` arrays stand before a parameter that is given as a setting; the
    others go by name."""
    names = [p.name for p in parameters(forward)
             if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return next((k for k, name in enumerate(names) if name in settings), count)


def op_name(function: Callable[..., Any]) -> str:
    """gelu_forward is the forward of gelu."""
    name = getattr(function, "__name__", type(function).__name__)
    return name.removesuffix("_forward")


def describe(value: Any) -> str:
    """What a value is, for the middle of a sentence."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, dict):
        return f"a dict of {len(value)}"
    return f"a value of type {type(value).__name__}"


def _as_array(value: Any) -> Array | None:
    if value is None:
        return None
    try:
        array = to_numpy(value)
    except ValueError:
        raise ContractError("inputs are arrays; got a list of rows of other lengths") from None
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    if array.dtype.kind in "iub":
        return array
    raise ContractError(f"inputs are arrays of floats, integers or booleans, got {describe(array)}")


def to_numpy(value: Any) -> Array:
    """A value as an array; a tensor of PyTorch is taken off its graph first."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().numpy()
    return np.asarray(value)


def generator(seed: Any) -> np.random.Generator:
    """The generator of a seed; ContractError for another than an integer of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ContractError(f"seed must be an integer of at least 0, got {describe(seed)}")
    return np.random.default_rng(int(seed))


def check_mapping(name: str, value: Any) -> None:
    """ContractError unless a value is a dict, or another mapping of names."""
    if not isinstance(value, Mapping):
        raise ContractError(f"{name} must be a dict, got {describe(value)}")


def fresh_copy(value: Any) -> Any:
    """A copy that nobody else holds, or the value itself where it cannot be copied."""
    if value is None or isinstance(value, (bool, int, float, str)) or callable(value):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # an open file, a lock: then it is shared, which is what the caller wrote
        return value
