"""A program, its inputs, and the mistakes that people make in it, each of which predicts a value.

    Program("mean", mean, [("sum", lambda x: x.sum(), "it is a sum, not a mean")],
            draw=lambda rng, settings, n: ((rng.standard_normal((2, 3)),), {}))

A layer's forward is one such program, five steps of AdamW another. Our own are written once, with
`wrong` naming the mistakes to make: so that two at once need no line. Their sentences stand in
mistakes.toml.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np

from ...documents import parse_toml

# what a program takes and gives: arrays, numbers, bytes, and lists, tuples and dicts of them
Value = Any
Function = Callable[..., Value]
Inputs = tuple[Value, ...]
Settings = dict[str, Value]
Wrong = Mapping[str, float]
RIGHT: Wrong = {}
TABLES = ("mistakes.toml", "program_mistakes.toml")
T = TypeVar("T")


@dataclass(frozen=True)
class Variant:
    """One mistake: its stable name, a sentence, and the function that makes it.

    Without a function it is the program itself, with `wrong[kind] = value`. The sentence may hold
    {value} and the names of the program's settings.
    """

    kind: str
    sentence: str
    value: float = 1.0
    function: Function | None = None


def numbers(value: Value) -> Value:
    """A list of numbers, or of lists of them, as an array; anything else as it is."""
    def plain(part: Value) -> bool:
        if isinstance(part, list):
            return all(plain(one) for one in part)
        return isinstance(part, (int, float, np.number))

    if not isinstance(value, list) or not value or not plain(value):
        return value
    try:
        return np.array(value)
    except ValueError:      # rows of different lengths
        return value


def _wide(value: Value) -> Value:
    """The same with floats in float64: what is right does not depend on an input's precision."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float64)
    if isinstance(value, dict):
        return {name: _wide(part) for name, part in value.items()}
    return [_wide(part) for part in value] if isinstance(value, list) else value


def _call(function: Function, inputs: Inputs, settings: Settings) -> Value:
    return function(*inputs, **accepted(function, settings))


def as_given(inputs: Inputs, settings: Settings, got: Value) -> tuple[Inputs, Value]:
    """Inputs and result as they are."""
    return inputs, got


@dataclass(frozen=True)
class Program:
    """What is computed (`function`), and `variants`, which give what each mistake would give.

    A variant is a Variant or (name, function, sentence). `draw` gives the n-th random inputs and
    settings, of other sizes each time, and fitting the settings it is given; `run` calls a function
    of this kind, more than once where it takes a step; `observe` adds to the inputs what only the
    result shows, such as which elements dropout kept. `conventions` are variants that are right
    too.
    """

    name: str
    function: Function
    variants: Sequence[Variant | tuple[str, Function, str]] = ()
    draw: Callable[[np.random.Generator, Settings, int], tuple[Inputs, Settings]] | None = None
    run: Callable[[Function, Inputs, Settings], Value] = _call
    observe: Callable[[Inputs, Settings, Value], tuple[Inputs, Value]] = as_given
    conventions: Sequence[Variant] = ()

    @property
    def arguments(self) -> list[str]:
        """The names of what a function of this kind is called with."""
        return [name for name in inspect.signature(self.function).parameters
                if name not in ("wrong", "kept", "width")]

    def value(
        self, inputs: Inputs, settings: Settings, mistakes: Iterable[Variant] = ()
    ) -> Value:
        """The result with these mistakes in it; at most one of them has a function of its own."""
        function, wrong = self.function, {}
        for variant in mistakes:
            if variant.function:
                function = variant.function
            else:
                wrong[variant.kind] = variant.value
        inputs = tuple(_wide(numbers(x)) for x in inputs)
        with np.errstate(all="ignore"):
            return self.run(function, inputs, settings | ({"wrong": wrong} if wrong else {}))

    def sentence(self, variant: Variant, settings: Settings) -> str:
        """The variant's sentence, with its value and the settings filled in."""
        if variant.function:
            return variant.sentence
        parameters = inspect.signature(self.function).parameters.items()
        defaults = {name: p.default for name, p in parameters if p.default is not p.empty}
        return variant.sentence.format(**defaults | settings | {"value": variant.value})

    def mistakes(self) -> list[Variant]:
        """The variants, the most usual first."""
        return [variant if isinstance(variant, Variant) else
                Variant(variant[0], variant[2], function=variant[1]) for variant in self.variants]


@functools.cache
def sentences() -> dict[str, dict[str, Any]]:
    """The tables of mistakes: for each program its kinds, with a sentence, or one and values."""
    return {program: kinds for name in TABLES for program, kinds in parse_toml(
        files(__package__).joinpath(name).read_text(encoding="utf-8"), name).items()}


def variants(*tables: str) -> list[Variant]:
    """The mistakes in these tables; of a kind that comes twice, the first."""
    found: dict[str, list[Variant]] = {}
    for table in tables:
        for kind, entry in sentences()[table].items():
            sentence, values = (entry, [1.0]) if isinstance(entry, str) else (entry[0], entry[1:])
            found.setdefault(kind, [Variant(kind, sentence, value) for value in values])
    return [variant for group in found.values() for variant in group]


def value_kinds() -> dict[str, str]:
    """Every kind of mistake in a forward or a program, with a sentence: as KINDS for gradients."""
    return {kind: entry if isinstance(entry, str) else entry[0]
            for table in sentences().values() for kind, entry in table.items()}


def pick(wrong: Wrong, right: T, other: Mapping[str, T]) -> T:
    """What stands in a place: `right`, or what a mistake puts there."""
    return next((value for kind, value in other.items() if kind in wrong), right)


def accepted(function: Function, settings: Settings) -> Settings:
    """Those of the settings that a function has a parameter for."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):     # compiled code
        return settings
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return settings
    return {name: value for name, value in settings.items() if name in parameters}
