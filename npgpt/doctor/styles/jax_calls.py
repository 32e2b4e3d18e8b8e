"""The calls of a JAX function that a check makes again and again, without what makes them slow.

JAX traces a function anew in each plain call of a derivative, and compiles each operation for each
new shape. So a function that is known to be one of its arrays alone is compiled as a whole, and the
rules of a custom_vjp are called themselves.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import types
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...gradcheck.numeric import norm
from ..evidence.subject import Function
from ..evidence.tree import leaves, rebuilt
from ..reading.source import UserCode
from .arguments import Arguments

PLAIN = 8       # calls that look whether a function draws numbers or remembers a call
MANY = 100      # calls for arrays of the same shapes, which take about as long as to compile
ALIKE = 1e-12   # compiled code rounds otherwise; float32 inside would round more, and is not taken
Jax = Any       # what is of JAX, which has no types here
LOOPS = {"scan", "while_loop", "fori_loop", "cond", "switch", "map", "associative_scan"}


class Compiled:
    """A function of arrays, called as it is at first, and compiled where that is quicker and gives
    the same.

    `users` are the functions that it is made of. Where one of them has other code than it had, or
    somebody wants to see which of them are called, it is called as it is. With `at_home` false it
    stays as it is for arrays of the shapes that came first, so that it gives the same bits again.
    """

    def __init__(self, jax: Jax, users: Iterable[Function], at_home: bool = True) -> None:
        self.jax, self.users, self.at_home = jax, tuple(users), at_home
        self.home: object = None
        self.works, self.hides, self.many = True, False, MANY
        self.counts: Counter[object] = Counter()
        self.codes: list[tuple[types.FunctionType, types.CodeType]] | None = None
        self.made: dict[object, Function] = {}

    def __call__(
        self, shapes: object, dtypes: object, function: Function, values: Sequence[object]
    ) -> Jax:
        """What the function gives; `shapes` and `dtypes` say all of it but these values."""
        self.home = self.home or shapes
        key = shapes, dtypes
        self.counts[key] += 1
        if self.codes is None and self.counts[key] == PLAIN:
            return self._looked_at(function, values)
        edited, at_home = self._edited(), shapes == self.home
        if self.codes is None or not self.works or sys.getprofile() is not None or (
                edited and self.hides) or at_home and (
                edited or not self.at_home or self.counts[key] <= self.many):
            return self._plain(function, values, edited)
        if key in self.made and not edited:
            return self.made[key](*values)
        made = self.jax.jit(function)
        works, result = self._tried(made, function, values)
        if works and not edited and not self.made:
            compiled, result = result, function(*values)
            works = self.works = alike(result, compiled)
        if not edited:
            self.made[key] = made if works else function
        return result

    def _tried(
        self, made: Function, function: Function, values: Sequence[object]
    ) -> tuple[bool, Jax]:
        """Whether it can be compiled, and what it gives."""
        try:
            return True, made(*values)
        except Exception:       # Python's own if on a value, a shape from a value
            return False, function(*values)

    def _plain(self, function: Function, values: Sequence[object], edited: bool) -> Jax:
        # what was compiled before, by the user, would run without the change and unseen
        seen = self.hides and (edited or sys.getprofile() is not None)
        with self.jax.disable_jit() if seen else contextlib.nullcontext():
            return function(*values)

    def _looked_at(self, function: Function, values: Sequence[object]) -> Jax:
        program = UserCode(self.users)
        result = program.watch(lambda: function(*values))
        found = [(o, f.code) for f in program.functions for o in f.objects]
        self.codes = found
        compiled = type(self.jax.jit(function))
        for o, code in found:
            names = {*_names(code)}
            held = [o.__globals__.get(name) for name in names]
            held += [cell.cell_contents for cell in o.__closure__ or () if cell != types.CellType()]
            if names & LOOPS:
                self.many = PLAIN   # JAX compiles a loop's body anew in each plain call
            self.hides |= bool(names & LOOPS) or any(
                isinstance(value, compiled) and not value.__module__.startswith("jax.")
                for value in held)
        return result

    def _edited(self) -> bool:
        return any(o.__code__ is not code for o, code in self.codes or ())


def _names(code: types.CodeType) -> Iterable[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _names(part)


def alike(one: object, other: object, digits: float = ALIKE) -> bool:
    """Are these arrays the same but for the last digits?"""
    pairs = list(zip(leaves(one), leaves(other)))
    return len(leaves(one)) == len(leaves(other)) and all(
        _alike(np.asarray(a), np.asarray(b), digits) for (_, a), (_, b) in pairs)


def _alike(a: Jax, b: Jax, digits: float) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    wide = complex if a.dtype.kind == "c" else float
    a, b = a.astype(wide), b.astype(wide)
    for one, other in ((a.real, b.real), (a.imag, b.imag)):
        known = np.isfinite(one)
        if not np.array_equal(known, np.isfinite(other)) or (
                norm((one - other)[known]) > digits * norm(one[known])):
            return False
    return True


class Rules:
    """The gradients of a custom_vjp from its own rules `fwd` and `bwd`, in the form of JAX's."""

    def __init__(
        self, jax: Jax, f: Jax, functions: Mapping[str, Function], arguments: Arguments,
        settings: Mapping[str, object],
    ) -> None:
        self.jax, self.functions, self.settings = jax, functions, settings
        self.arguments, self.apart = arguments, f.nondiff_argnums
        self.signature = inspect.signature(functions["f"])
        marks = self._bound(arguments.filled([_Mark(i) for i in range(len(arguments.arrays))]))
        self.marks = [mark for n, mark in enumerate(marks) if n not in self.apart]

    def _bound(self, given: Sequence[object]) -> tuple[Jax, ...]:
        bound = self.signature.bind(*given, **self.settings)
        bound.apply_defaults()
        return bound.args

    def __call__(self, douts: Sequence[object], values: Sequence[object]) -> tuple[Jax, list[Jax]]:
        """(out, the gradient of each array, None where it has none); raises where JAX would."""
        given = self._bound(self.arguments.filled(values))
        out, saved = self.functions["fwd"](*given)
        out = self.jax.tree_util.tree_map(lambda leaf: leaf, out)   # its dicts in JAX's order
        found = self.functions["bwd"](*(given[n] for n in self.apart), saved,
                                      rebuilt(out, iter(douts)))
        if not isinstance(found, (tuple, list)) or len(found) != len(self.marks):
            raise TypeError("the rule gives not one gradient for each argument")
        gradients: list[Jax] = [None] * len(values)
        for mark, gradient in zip(self.marks, found):
            for i, g in self._matched(mark, gradient):
                gradients[i] = self._like(g, values[i])
        return out, gradients

    def _matched(self, mark: object, gradient: object) -> list[tuple[int, object]]:
        """(the number of an array, its gradient) for one argument."""
        flat, tree = self.jax.tree_util.tree_flatten(mark)
        parts, other = self.jax.tree_util.tree_flatten(gradient, is_leaf=lambda g: g is None)
        if gradient is None:
            parts, other = [None] * len(flat), tree
        if tree != other:
            raise TypeError("a gradient has another structure than its argument")
        return [(m.number, g) for m, g in zip(flat, parts) if isinstance(m, _Mark)]

    def _like(self, gradient: Jax, value: Jax) -> Jax:
        """A gradient, of zeros where the rule gives None."""
        if gradient is None:
            return self.jax.numpy.zeros_like(value)
        if value.dtype.kind == "f" and (
                np.shape(gradient) != value.shape
                or self.jax.numpy.result_type(gradient) != value.dtype):
            raise ValueError("a gradient has another shape or dtype than its argument")
        return gradient


class _Mark:
    """The place of an array in the arguments."""

    def __init__(self, number: int) -> None:
        self.number = number
