"""The places of the user's code where something is computed, and what a value there may be."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm
from ..reading.source import Function, Slot, slots
from .edits import places
from .reach import Reach, is_pure
from .rows import Row

NUDGE = 1e-3
Seen = list[tuple[Any, dict[str, object]]]   # values, each with the names in reach there


@dataclass
class Site:
    """A place whose value is computed, `slot` in `statement` of `function`: the wrong gradients
    that `reach`es (None where that is not known), what was seen there, and the `moves` (G, n) of
    the gradients with each of its n elements: of those to `aim` at, which some value there makes
    right, by a step whose `first` part is known in some elements. It is `sure` where that is no
    matter of course, and `settled` where no other step does. `others` are the same place with
    another aim. At a `hopeless` one no value makes any right."""

    function: Function
    statement: ast.stmt | ast.Lambda
    slot: Slot
    order: int = 0
    reach: set[int] | None = None
    seen: Seen = field(default_factory=list)
    moves: Array | None = None
    looked: list[int] | None = None
    aim: list[int] = field(default_factory=list)
    hopeless: bool = False
    others: list[Site] = field(default_factory=list)
    first: tuple[Array, Array, float] | None = None
    sure: bool = False
    settled: bool = False
    forward: bool = False
    parameter: str = ""
    after: bool = False
    in_reach: Reach | None = None

    @property
    def line(self) -> int:
        """The line of its statement."""
        return self.function.line(self.slot.get() if self.parameter else self.statement)


def sites_of(function: Function) -> Iterator[Site]:
    """The places of one function where something is computed."""
    node = function.node
    if isinstance(node, ast.Lambda):
        yield from _parts(function, node, Slot(node, "body", None))
        return
    for slot in slots(node):
        statement = slot.get()
        if isinstance(statement, ast.Lambda):
            yield from _parts(function, statement, Slot(statement, "body", None))
        if isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)):
            if statement.value is not None and not isinstance(statement.value, ast.Constant) or (
                    not isinstance(statement, ast.Expr)):
                yield from _parts(function, statement, Slot(statement, "value", None))
        if isinstance(statement, ast.For):
            yield Site(function, statement, Slot(statement, "iter", None))
        if isinstance(statement, ast.If) and isinstance(statement.test, ast.Compare):
            yield Site(function, statement, Slot(statement, "test", None))
    if function.parameters is None:
        function.parameters = list(_parameters(function, node))
    for site in function.parameters:
        yield replace(site, seen=[], moves=None, reach=None, looked=None, in_reach=None)


def _parts(function: Function, statement: Any, slot: Slot) -> Iterator[Site]:
    node = slot.get()
    if node is None or isinstance(node, ast.Lambda):
        return
    if isinstance(node, (ast.Tuple, ast.List)):
        for k in range(len(node.elts)):
            yield from _parts(function, statement, Slot(node, "elts", k))
    elif isinstance(node, ast.Dict):
        for k in range(len(node.values)):
            yield from _parts(function, statement, Slot(node, "values", k))
    else:
        if not isinstance(statement, ast.Expr):
            yield Site(function, statement, slot)
        if isinstance(node, ast.Call) and not is_pure(node):
            for k in range(len(node.args)):
                yield from _parts(function, statement, Slot(node, "args", k))


def _parameters(function: Function, node: ast.FunctionDef) -> Iterator[Site]:
    """A place for each parameter right before it is first used, and for each name right after a
    part of it was changed: `p = p`, which changes nothing."""
    for inner in [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef)]:
        for name in [a.arg for a in inner.args.args if a.arg != "self"]:
            for at, statement in enumerate(inner.body):
                if name in {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}:
                    if not isinstance(statement, ast.FunctionDef) and not unpacks(statement):
                        yield _beside(function, inner.body, at, name, after=False)
                    break
    for block in [b for n in ast.walk(node) for b in (getattr(n, "body", None), getattr(
            n, "orelse", None)) if isinstance(b, list)]:
        for at, statement in enumerate(block):
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            if isinstance(statement, (ast.Assign, ast.AugAssign)) and not (
                    isinstance(statement, ast.Assign) and isinstance(targets[0], ast.Name)):
                for name in sorted(assigned(statement)):
                    if any(isinstance(n, ast.Name) and n.id == name
                           for t in targets for n in ast.walk(t)):
                        yield _beside(function, block, at, name, after=True)
                        break
    for loop in [n for n in ast.walk(node) if isinstance(n, ast.For)]:
        for name in _carried(loop.body, function.values):
            yield _beside(function, loop.body, len(loop.body) - 1, name, after=True)


def _carried(body: list[ast.stmt], values: dict[str, object]) -> list[str]:
    """The arrays that a loop hands to its next round and does not change after their last use, as
    `dc` without `dc = dc * f`; or that stay zero, as a `dnext` that nobody sets."""
    first, last, used = dict[str, int](), dict[str, int](), dict[str, list[int]]()
    for at, statement in enumerate(body):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.setdefault(node.id, []).append(at)
        for name in assigned(statement):
            first.setdefault(name, at)
            last[name] = at
            if isinstance(statement, ast.AugAssign):
                used.setdefault(name, []).append(at)
    arrays = [name for name in used if isinstance(value := values.get(name), np.ndarray)
              and value.dtype.kind == "f" and (name in last or not value.any())]
    return [name for name in arrays if name not in last or (
        used[name][0] <= first[name] and used[name][-1] > last[name])]


def _beside(
    function: Function, block: list[ast.stmt], at: int, name: str, after: bool
) -> Site:
    """`name = name` before or after a statement, both under one condition that holds."""
    statement = block[at]
    new = ast.Assign([ast.Name(name, ast.Store())], ast.Name(name, ast.Load()))
    pair: list[ast.stmt] = [statement, new] if after else [new, statement]
    both = ast.If(ast.Constant(True), pair, [])
    for part in (*ast.walk(new), both, both.test):
        ast.copy_location(part, statement)
    block[at] = both
    return Site(function, new, Slot(new, "value", None), parameter=name, after=after)


def unpacks(statement: ast.stmt) -> bool:
    """`x, w = cache` and the like, or a return."""
    return isinstance(statement, ast.Return) or isinstance(statement, ast.Assign) and isinstance(
        statement.targets[0], ast.Tuple) and not isinstance(statement.value, (ast.BinOp, ast.Call))


def within(site: Site) -> list[Slot]:
    """A site's own place and the places inside it."""
    node = site.slot.get()
    inner = [] if isinstance(node, ast.Name) else [
        s for s in places(node) if not isinstance(s.get(), ast.Lambda)]
    return [site.slot, *inner]


def statement_slots(site: Site) -> Iterator[Slot]:
    """The statement of a site as a place, its targets, and the parameters of its function."""
    if site.parameter or isinstance(site.statement, ast.Lambda):
        return
    for slot in slots(site.function.node):
        if slot.get() is site.statement:
            yield slot
            break
    for target in getattr(site.statement, "targets", [getattr(site.statement, "target", None)]):
        if isinstance(target, ast.Subscript):
            yield Slot(target, "slice", None)
    for k, target in enumerate(getattr(site.statement, "targets", [])):
        if isinstance(target, ast.Tuple):
            yield Slot(site.statement, "targets", k)
    for slot in slots(site.statement):
        if isinstance(slot.get(), (ast.Tuple, ast.Dict)) and slot.field not in ("slice", "targets"):
            yield slot


def assigned(statement: object) -> set[str]:
    """The names that a statement gives a value to; `self.h` is h."""
    found = set()
    for target in getattr(statement, "targets", None) or [getattr(statement, "target", None)]:
        for node in target.elts if isinstance(target, ast.Tuple) else [target]:
            while isinstance(node, ast.Subscript):
                node = node.value
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
    return found


def nudged(value: object) -> object:
    """A value a little beside a value; the value itself where that makes no sense."""
    if isinstance(value, (tuple, list)):
        moved = [nudged(v) for v in value]
        return value if all(a is b for a, b in zip(moved, value)) else type(value)(moved)
    if isinstance(value, dict):
        return {k: nudged(v) for k, v in value.items()}
    if isinstance(value, (bool, np.bool_)) or not is_number(value):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "iu" and array.ndim:
        return value
    step = NUDGE * np.random.default_rng(1).uniform(0.5, 1.5, array.shape)
    return array + step * (1 + np.abs(array))


def moved_by(a: Array | None, b: Array | None) -> bool:
    """Are two gradients not the same?"""
    if a is None or b is None or a.shape != b.shape:
        return (a is None) != (b is None) or a is not None
    return bool(norm(a - b) > 1e-11 * norm(a)) or not bool(np.isfinite(b).all())


def is_number(value: object) -> bool:
    """An array or a number."""
    return isinstance(value, (np.ndarray, np.number, np.bool_, int, float)) and (
        np.asarray(value).dtype.kind in "fiub")


def difference(values: list[object], site: Site) -> Array | None:
    """From the (first) values at a site to others, in a row; None where they have another shape."""
    rows = []
    for new, (old, _) in zip(values, site.seen):
        try:
            new = np.asarray(new, dtype=float)
        except (ValueError, TypeError):     # a ragged list, a dict
            return None
        if np.shape(new) != np.shape(old):
            if np.shape(new) and isinstance(site.statement, (ast.Assign, ast.Return, ast.Lambda)):
                return None
            with contextlib.suppress(ValueError):
                new = np.broadcast_to(new, np.shape(old))
            if np.shape(new) != np.shape(old):
                return None
        rows.append(new.reshape(-1)
                    - np.asarray(old, dtype=float).reshape(-1))
    return np.concatenate(rows)


def may_fit(values: list[object], site: Site, free: bool) -> bool:
    """Could these first values be the right ones, up to a factor of the step where it is `free`?"""
    if site.first is None:
        return True
    known, needed, size = site.first
    step = difference(values, site)
    if step is None:
        return False
    step, needed = step[known], needed[known]
    if free:
        step = step * (step @ needed) / max(float(step @ step), 1e-300)
    return norm(step - needed) <= 1e-5 * size


def is_value(slot: Slot, row: Row) -> bool:
    """May a place hold what a row brings there?"""
    leaf = isinstance(slot.get(), ast.Name)
    return slot.field != "slice" and (leaf or not isinstance(
        slot.parent, (ast.Attribute, ast.Subscript)))


def alike(a: object, b: object) -> bool:
    """Could two names be mistaken for each other?"""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return bool(a.dtype.kind == b.dtype.kind)
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return True
    return type(a) is type(b) and a is not None
