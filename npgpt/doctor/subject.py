"""The pair that is examined, with what the doctor needs to know of it beside the check.

What the user's own code raises comes as a CallError, so that nobody need catch more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import EPSILON, norm
from ..gradcheck.pair import ContractError, describe
from .pair import Pair


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


class Subject(Pair):
    """A Pair; `op` is its name, `readable` is false if its source is not the user's own.

    `users` are the functions whose code is the user's; `epsilon` is the precision that forward was
    seen to compute in.
    """

    def __init__(
        self, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Sequence[Any],
        settings: dict[str, Any],
    ) -> None:
        super().__init__(forward, backward, inputs, settings)
        self.op = op_name(forward)
        self.readable = True
        self.users: tuple[Callable[..., Any], ...] = (forward, backward)
        self.epsilon = EPSILON

    def shape(self, position: int) -> tuple[int, ...]:
        """The shape of one input."""
        return self.array(position).shape

    def scale(self, position: int, out: Array, dout: Array) -> float:
        """The length that the gradient of one input could have: ||dout|| ||out|| / ||x||."""
        x = self.array(position)
        size = max(norm(x), 1e-3 * float(np.sqrt(x.size)), 1e-300)
        # in float64: the length of a float16 array overflows
        return norm(dout) * max(norm(out.astype(np.float64)), 1e-300) / size

    def each(self, change: Callable[[Array], Array]) -> Self:
        """The same pair with every array changed."""
        return self.with_inputs(tuple(None if a is None else change(a) for a in self.inputs))

    def cut(self, sizes: dict[int, int]) -> Self:
        """The same pair with every axis of a length in `sizes` cut to what it says there."""

        def shorter(a: Array) -> Array:
            for axis, n in enumerate(a.shape):
                a = a.take(range(sizes.get(n, n)), axis)
            return a

        return self.each(shorter)

    def moved(self, far: float, rng: np.random.Generator) -> Self:
        """The same pair at other values: normal noise of scale `far` on every float."""
        return self.each(
            lambda a: a + far * rng.standard_normal(a.shape) if a.dtype.kind == "f" else a)

    def call(self, arrays: Sequence[Array | None]) -> Any:
        """What forward returns for these very arrays; raises CallError."""
        with users_code():
            return super().call(arrays)

    def call_backward(self, dout: Array, cache: Any) -> tuple[Any, ...]:
        """What backward returns for this very dout and cache, as a tuple; raises CallError."""
        with users_code():
            return super().call_backward(dout, cache)


def op_name(function: Callable[..., Any]) -> str:
    """gelu_forward is the forward of gelu."""
    name = getattr(function, "__name__", type(function).__name__)
    return str(name).removesuffix("_forward")


def generator(seed: Any) -> np.random.Generator:
    """The generator of a seed; ContractError for another than an integer of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ContractError(f"seed must be an integer of at least 0, got {describe(seed)}")
    return np.random.default_rng(int(seed))


def check_mapping(name: str, value: Any) -> None:
    """ContractError unless a value is a dict, or another mapping of names."""
    if not isinstance(value, Mapping):
        raise ContractError(f"{name} must be a dict, got {describe(value)}")
