"""Name a fault by repairing it: try small changes to backward until every gradient is right.

The proof is the change itself. It must bring all gradients to the true ones, for several random
`dout` at the given inputs and at others, before its name is given. Only arithmetic is changed: no
new call is made to anything but NumPy, and nothing is written to the user's files.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm
from .edits import Edit, edits
from .fault import NEAR, Fault
from .kinds import KINDS
from .measure import Measurement, measure
from .multiple import plain
from .source import Source, shortened
from .subject import CallError, users_code
from .traced_source import program

RIGHT = 1e-9  # the error of a repaired gradient that is rounding, as a fraction of it


@dataclass(frozen=True)
class _Goal:
    """One run of backward, and the true gradients that it must return: their `shapes` by position,
    and all their values in a row."""

    dout: Array
    cache: Any
    shapes: dict[int, tuple[int, ...]]
    numeric: Array

    def met(self, answer: Array) -> bool:
        """Are these the true gradients, each by its own size?"""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()])[:-1]
        return all(
            norm(analytic - numeric) <= RIGHT * (norm(numeric) or 1.0) + 1e-12
            for analytic, numeric in zip(
                np.split(answer, ends), np.split(self.numeric, ends), strict=True))


@dataclass(frozen=True)
class Trial:
    """A change that was tried: backward then returns base + c * slope for the first dout; `slope`
    is None where the change holds no unknown number."""

    function: str
    edit: Edit
    base: Array
    slope: Array | None


@dataclass
class Budget:
    """How many changes may still be tried; a count, so that a slow machine finds as much."""

    left: int


def repair(
    m: Measurement, budget: Budget, positions: list[int] | None = None,
    trials: list[Trial] | None = None, most: int | None = None,
) -> Fault | None:
    """The first single change that makes the gradients at `positions` (or all) right, or None.

    What did not suffice is added to `trials`; each change tried, at `most` so many, is taken off
    the budget.
    """
    last = 0 if most is None else max(0, budget.left - most)
    source = program(m.subject, "backward")
    if source is None:
        return None
    wanted = list(m.numeric) if positions is None else positions
    trials = [] if trials is None else trials
    goals = [_goal(m, k, wanted) for k in (0, 1)]
    with contextlib.redirect_stdout(None), np.errstate(all="ignore"):
        try:
            before = _answer(source, goals[0], 1.0)
        except CallError:  # a wrong shape: then no unknown number can be solved for
            before = None
        names = list(source.functions)
        families = [
            edits(source.functions[name], _locals(source, name, goals[0])) for name in names
        ]
        for of_each in zip(*families, strict=True):
            for name, family in zip(names, of_each, strict=True):
                for edit in family:
                    if budget.left <= last:
                        return None
                    budget.left -= 1
                    c = _fits(source, name, edit, goals, before, trials)
                    if c is not None and _holds_elsewhere(m, source, edit, c, wanted):
                        return describe_change(source, name, edit, c, positions is None)
    return None


def _goal(m: Measurement, k: int, wanted: list[int]) -> _Goal:
    shapes = {i: m.subject.shape(i) for i in wanted}
    numeric = np.concatenate([m.numeric[i][k] for i in wanted])
    return _Goal(m.douts[k], _locked(m.subject.run()[1]), shapes, numeric)


def _locked(cache: Any) -> Any:
    """The cache, its arrays read-only: an edit that writes into them must not spoil the next."""
    if isinstance(cache, np.ndarray):
        cache.flags.writeable = False
    elif isinstance(cache, dict):
        _locked(list(cache.values()))
    elif isinstance(cache, (tuple, list)):
        for part in cache:
            _locked(part)
    return cache


def _answer(source: Source, goal: _Goal, c: float) -> Array:
    """The gradients that the trees as they now stand give, in a row; CallError if they give none.
    """
    backward = source.build(_c=c)
    with users_code():
        grads = backward(goal.dout.copy(), goal.cache)
        grads = grads if isinstance(grads, tuple) else (grads,)
        result = [np.asarray(grads[i], dtype=np.float64) for i in goal.shapes]
        if [part.shape for part in result] != list(goal.shapes.values()):
            raise ValueError("expected gradients of the inputs' shapes")
    return np.concatenate([part.reshape(-1) for part in result])


def _fits(
    source: Source, name: str, edit: Edit, goals: list[_Goal], before: Array | None,
    trials: list[Trial],
) -> float | None:
    """The _c with which the edit gives the true gradients (1.0 if it has no _c), else None.

    What it gives for the first goal is added to `trials`.
    """
    goal, other_goal = goals
    c = start = 0.0 if edit.neutral == 1.0 else 1.0
    try:
        with _edited(edit):
            first = _answer(source, goal, start)
            trials.append(Trial(name, edit, first, None))
            neutral, other = edit.neutral, before
            if edit.fitted and not goal.met(first):
                neutral, other = 0.0, _answer(source, goal, 0.0)
            if neutral is not None:
                if other is None:
                    return None
                slope = (other - first) / (neutral - start)
                trials[-1] = Trial(name, edit, first - start * slope, slope)
                solved = _solve(first - other, goal.numeric - other, neutral)
                if solved is None:
                    return None
                c = solved
                first = _answer(source, goal, c)
            return c if goal.met(first) and other_goal.met(_answer(source, other_goal, c)) else None
    except CallError:  # most changes make no sense, and that is how they show it
        return None


@contextlib.contextmanager
def _edited(edit: Edit) -> Iterator[None]:
    """With the edit in its slot, and afterwards as it was."""
    old = edit.slot.get()
    edit.slot.put(edit.new)
    if isinstance(edit.new, ast.AST):
        ast.fix_missing_locations(edit.new)
    try:
        yield
    finally:
        edit.slot.put(old)


def _solve(step: Array, gap: Array, neutral: float) -> float | None:
    """_c by least squares: from its neutral value to the other of 0 and 1 the gradients go a `step`
    of the `gap` to the true ones."""
    size = float(step @ step)
    if size == 0 or not np.isfinite(size):
        return None
    t = float(gap @ step) / size
    if norm(gap - t * step) > 1e-6 * norm(gap):
        return None
    value = neutral + t * ((1.0 - neutral) - neutral)
    nearest = float(plain(value))
    return nearest if abs(value - nearest) < NEAR else value


def _holds_elsewhere(
    m: Measurement, source: Source, edit: Edit, c: float, wanted: list[int]
) -> bool:
    rng = np.random.default_rng(77)
    try:
        goal = _goal(measure(m.subject.moved(0.4, rng), rng, wanted), 2, wanted)
        with _edited(edit):
            return goal.met(_answer(source, goal, c))
    except CallError:
        return False


def _locals(source: Source, name: str, goal: _Goal) -> dict[str, Any]:
    """The local values of one function at its return, from one run of backward."""
    seen: dict[str, Any] = {}
    tree = source.functions[name]
    watch = ast.parse("_seen(locals())").body[0]
    body = tree.body
    tree.body = [part for s in body for part in ((watch, s) if isinstance(s, ast.Return) else (s,))]
    try:
        with users_code():
            source.build(_c=1.0, _seen=seen.update)(goal.dout.copy(), goal.cache)
    except CallError:
        pass
    finally:
        tree.body = body
    return seen


def describe_change(source: Source, name: str, edit: Edit, c: float, every: bool) -> Fault:
    """The name of the fault that `edit` repairs, with its line and what would be right there."""
    old, kind = edit.slot.get(), edit.kind
    statement = isinstance(old, ast.stmt)
    line = source.line(name, old)
    before = ast.unparse(old)
    new = edit.new
    if kind == "term-factor" and abs(c + 1) < 1e-9:
        kind = "term-sign"
    after = _written(new, c)
    where = f"line {line} of {name}"
    around = shortened(edit.slot.parent)
    parent = "" if statement or around.strip("(),") == before.strip("()") else f" in `{around}`"
    remedy = f"`{after}` would be right"
    if kind == "term-factor" and abs(c) < 1e-9:
        parts = ast.walk(source.functions[name])
        texts = [ast.unparse(part) for part in parts if isinstance(part, ast.expr)]
        kind = "accumulated-twice" if texts.count(before) > 1 else "extra-term"
        remedy = "without it all is right"
    message = f"{KINDS[kind].rstrip('.')}: {where} has `{before}`{parent}; {remedy}."
    which = "every gradient equals" if every else "this gradient equals"
    return Fault(
        kind, message, f"with this one change {which} the numerical one, here and at other inputs",
        coefficient=c)


def _written(new: Any, c: float) -> str:
    """An edit as one would write it, with its unknown number filled in."""

    class Fill(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> Any:
            self.generic_visit(node)
            if isinstance(node.left, ast.Constant) and node.left.value == "_c":
                if c in (1.0, -1.0):
                    return node.right if c == 1 else ast.UnaryOp(ast.USub(), node.right)
                return ast.BinOp(ast.Constant(float(f"{c:.9g}")), node.op, node.right)
            right = node.right
            if isinstance(right, ast.UnaryOp) and isinstance(node.op, ast.Add):
                return ast.BinOp(node.left, ast.Sub(), right.operand)
            return node

        def visit_Name(self, node: ast.Name) -> Any:
            return ast.Constant("_c") if node.id == "_c" else node

    return ast.unparse(ast.fix_missing_locations(Fill().visit(copy.deepcopy(new))))
