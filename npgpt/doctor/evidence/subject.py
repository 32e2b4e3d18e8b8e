"""What is examined: a pair, and the user's own functions that it is made of.

A pair, a layer object, a loss that returns its gradients: whatever the style, a Program makes a
pair of it, and makes another one of functions that were changed. What the user's own code raises
comes as a CallError, so that nobody need catch more.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import EPSILON, norm
from ...gradcheck.pair import ContractError, describe, to_numpy
from .pair import Pair
from .tree import is_tree, leaves, rebuilt


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


Function = Callable[..., Any]
VARIED = 1.37   # times a setting such as a regulariser's weight: no size or its root


def _constant(name: str) -> str:
    return "backward returned None for it. If it has no gradient, such as targets or a mask, " \
        f"give constant({name}), or {name}=const(2,3) in a header."


@dataclass(frozen=True)
class Program:
    """The user's own `functions` by name, and the (forward, backward) that `pair` makes of them, or
    of others under the same names.

    `forward` and `backward` are the names of what computes the output and the gradients: the same
    one for a function that gives both. `missing` goes on, for the name of an input without a
    gradient, where one was looked for; `varied` gives the same program with other numbers where it
    holds settings. `derived` says that backward is a framework's derivative of forward.
    """

    functions: Mapping[str, Function]
    pair: Callable[[Mapping[str, Function]], tuple[Function, Function]]
    forward: str = "forward"
    backward: str = "backward"
    missing: Callable[[str], str] = _constant
    varied: Callable[[], Program | None] = lambda: None
    derived: bool = False


class Subject(Pair):
    """A Pair made by a `program`; `op` is its name, `readable` is false if forward and backward
    themselves are not the user's own source.

    An output of several arrays, a tuple or a dict, is one flat array here, and backward gets its
    dout in the same form. `epsilon` is the precision that forward was seen to compute in;
    `fixed_sizes` says that other sizes of the inputs prove nothing.
    """

    def __init__(
        self, forward: Function, backward: Function, inputs: Sequence[object],
        settings: dict[str, object],
    ) -> None:
        super().__init__(forward, backward, inputs, settings)
        self.op = op_name(forward)
        self.readable, self.fixed_sizes = True, False
        self.program = Program(
            {"forward": forward, "backward": backward}, lambda f: (f["forward"], f["backward"]))
        self.epsilon = EPSILON

    @classmethod
    def of(
        cls, program: Program, inputs: Sequence[object], names: Sequence[str], op: str,
        settings: dict[str, object] | None = None,
    ) -> Self:
        """The Subject of a program of another style than a pair's."""
        subject = cls(*program.pair(program.functions), inputs, settings or {})
        subject.program, subject.names, subject.op = program, list(names), op
        subject.readable = False
        return subject

    @property
    def users(self) -> tuple[Function, ...]:
        """The functions whose code is the user's."""
        return tuple(self.program.functions.values())

    def with_functions(self, **changed: Function) -> Self:
        """The same, with others in place of some of the program's functions."""
        other = copy.copy(self)
        other.program = replace(self.program, functions={**self.program.functions, **changed})
        other.forward, other.backward = other.program.pair(other.program.functions)
        return other

    def varied(self) -> Self | None:
        """The same with other numbers for its settings that are floats; None where it has none."""
        words, program = numbers(self.settings), self.program.varied()
        if not words and program is None:
            return None
        other = copy.copy(self)
        other.settings = {**self.settings, **words}
        if program is not None:
            functions = {n: self.program.functions[n] for n in program.functions}
            other.program = replace(program, functions=functions)
            other.forward, other.backward = other.program.pair(functions)
        return other

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
        """The same pair with every axis of a length in `sizes` cut to what it says there, or made
        longer by its own first elements."""

        def shorter(a: Array) -> Array:
            for axis, n in enumerate(a.shape):
                if n in sizes:
                    a = a.take(range(sizes[n]), axis, mode="wrap")
            return a

        return self.each(shorter)

    def moved(self, far: float, rng: np.random.Generator) -> Self:
        """The same pair at other values: normal noise of scale `far` on every float."""
        return self.each(
            lambda a: a + far * rng.standard_normal(a.shape) if a.dtype.kind == "f" else a)

    def call(self, arrays: Sequence[Array | None]) -> Any:
        """What forward returns for these very arrays; raises CallError."""
        with users_code():
            result = super().call(arrays)
        if not isinstance(result, tuple) or len(result) != 2:
            return result
        outputs = checked_output(result[0], self.program.forward)
        if not is_tree(outputs):
            return outputs, result[1]
        out = [to_numpy(value) for _, value in leaves(outputs)]
        return np.concatenate([np.ravel(a) for a in out]), _Several(*result)

    def call_backward(self, dout: Array, cache: object) -> tuple[Any, ...]:
        """What backward returns for this very dout and cache, as a tuple; raises CallError."""
        if isinstance(cache, _Several):
            dout, cache = cache.split(dout), cache.cache
        with users_code():
            return super().call_backward(dout, cache)


@dataclass
class _Several:
    """The cache of a forward with several outputs."""

    outputs: object
    cache: object

    def split(self, dout: Array) -> Any:
        """A flat dout in the form of the outputs."""
        shapes = [np.shape(value) for _, value in leaves(self.outputs)]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = np.split(dout, ends[:-1])
        return rebuilt(self.outputs, (p.reshape(s) for p, s in zip(parts, shapes, strict=True)))


def numbers(settings: Mapping[str, object]) -> dict[str, float]:
    """Other numbers for the settings that are floats."""
    return {name: VARIED * value for name, value in settings.items() if type(value) is float}


def checked_output(out: object, name: str) -> Any:
    """What a function gave: an array, or several in a tuple or dict; raises ContractError."""
    for place, value in leaves(out):
        array = None if value is None or isinstance(value, (str, dict)) else to_numpy(value)
        if array is None or array.dtype.kind not in "fciub":
            raise ContractError(f"{name} returned {describe(value)}{' as ' * bool(place)}{place}; "
                                "it must return a number or arrays of numbers")
    return out if is_tree(out) else to_numpy(out)


def op_name(function: Callable[..., object]) -> str:
    """gelu_forward is the forward of gelu."""
    name = getattr(function, "__name__", type(function).__name__)
    return str(name).removesuffix("_forward")


def generator(seed: object) -> np.random.Generator:
    """The generator of a seed; ContractError for another than an integer of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ContractError(f"seed must be an integer of at least 0, got {describe(seed)}")
    return np.random.default_rng(int(seed))


def check_mapping(name: str, value: object) -> None:
    """ContractError unless a value is a dict, or another mapping of names."""
    if not isinstance(value, Mapping):
        raise ContractError(f"{name} must be a dict, got {describe(value)}")
