"""What the checks of PyTorch and JAX share: a Subject of a framework's function, and another one of
its gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import signs
from ...gradcheck.pair import ContractError
from ..evidence.pair import Pair
from ..evidence.report import Report
from ..evidence.subject import Function, Program, Subject
from ..examine import examine
from .arguments import Arguments

T = TypeVar("T")


def missing(name: str) -> ImportError:
    """The error where a framework is not there."""
    return ImportError(f"this check needs {name}; install it with: python -m pip install "
                       "'npgpt[frameworks]'")


def _cut(name: str) -> str:
    return "its gradient is None: backward returned that, or it is cut off on the way, as by " \
        "detach(), .data, numpy() or once_differentiable."


def outputs(found: list[T]) -> list[T]:
    """The outputs themselves; raises ContractError where a function gave no array of floats."""
    if not found:
        raise ContractError("the function gives no array of floats, so there is no gradient; let "
                            "it return a tensor (no .item(), no integers)")
    return found


class Graph:
    """A framework's own cache, which cannot be copied and is not written to."""

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts

    def __deepcopy__(self, memo: object) -> Graph:
        return self


class Derivative(ABC):
    """A function whose gradient a framework takes, made of the user's `functions`."""

    def __init__(
        self, arguments: Arguments, functions: Mapping[str, Function], name: str
    ) -> None:
        arguments.require()
        self.arguments, self.functions, self.name = arguments, functions, name
        self.floats = Pair(lambda *a: None, lambda *a: None, arguments.arrays, {}).floats

    @abstractmethod
    def pair(self, functions: Mapping[str, Function]) -> tuple[Function, Function]:
        """forward and backward for arrays."""

    @abstractmethod
    def gradient_pair(self, douts: Callable[[Any], Array]) -> tuple[Function, Function]:
        """A forward that gives the gradients, for `douts` of a shape, and its backward."""

    def subject(self, second_order: bool = False) -> Subject:
        """The Subject of the function, or of its gradient."""
        names, keys = list(self.arguments.names), list(self.functions)
        if second_order:
            program = Program(self.functions, lambda functions: self.gradient_pair(
                lambda shape: np.asarray(signs(shape, np.random.default_rng(0)))), missing=_cut)
            names = [f"{name} (second order)" for name in names]
        else:
            program = Program(self.functions, self.pair, keys[0], keys[-1], _cut,
                              derived=len(keys) == 1)
        subject = Subject.of(program, self.arguments.arrays, names, self.name)
        subject.fixed_sizes = True
        return subject


def with_second_order(first: Report, subject: Subject) -> Report:
    """A report with the rows, findings and notes of the gradient's gradient added."""
    second = examine(subject)
    return replace(first, rows=first.rows + second.rows, findings=first.findings + second.findings,
                   notes=first.notes + second.notes)
