"""The rows of rows.py made into changes of a syntax tree, and the changes that no row can write."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..reading.source import Function, Slot, slots
from .rows import THROUGHOUT, VALUES, Row
from .words import ARRAYS, OURS

ANY = frozenset("EFGTI")  # stand for a node; each for the same one wherever it stands


class Edit(NamedTuple):
    """Put `new` into `slot`: repairs a fault of this `kind`."""

    kind: str
    slot: Slot
    new: Any


def match(pattern: Any, node: Any, found: dict[str, Any]) -> bool:
    """Does a node have the form of a pattern? What its letters stand for is added to `found`."""
    if isinstance(pattern, ast.Expr) and isinstance(node, ast.expr):
        pattern = pattern.value
    if isinstance(pattern, ast.Name) and pattern.id in ANY:
        if not isinstance(node, ast.expr) or isinstance(node, (ast.Starred, ast.Slice)):
            return False
        if pattern.id in found:
            return ast.dump(found[pattern.id]) == ast.dump(node)
        found[pattern.id] = node
        return True
    if isinstance(pattern, ast.Name) and pattern.id == "np":
        found["np"] = node      # the code's own word for it, which the replacement takes over
        return isinstance(node, (ast.Name, ast.Attribute)) and ast.unparse(node) in ARRAYS
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, ast.Call):
        given, rest = list(node.args), list(pattern.args)
        if rest and isinstance(rest[-1], ast.Starred):
            found["X"] = given[len(rest) - 1:]
            given, rest = given[:len(rest) - 1], rest[:-1]
        if pattern.keywords:
            found["K"] = node.keywords
        elif node.keywords:
            return False
        return len(given) == len(rest) and match(pattern.func, node.func, found) and all(
            match(p, n, found) for p, n in zip(rest, given))
    for name, part in ast.iter_fields(pattern):
        other = getattr(node, name, None)
        if name in ("ctx", "type_comment", "kind"):
            continue
        if isinstance(part, list):
            if not isinstance(other, list) or len(part) != len(other) or not all(
                    match(p, o, found) for p, o in zip(part, other)):
                return False
        elif isinstance(part, ast.AST):
            if not match(part, other, found):
                return False
        elif part != other:
            return False
    return True


def fill(template: Any, **parts: Any) -> Any:
    """A copy of a tree with its letters replaced by what they stand for."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> Any:
            part = parts.get(node.id)
            if part is None:
                return node
            part = copy.deepcopy(part)
            if isinstance(node.ctx, ast.Store) and hasattr(part, "ctx"):
                part.ctx = ast.Store()
            elif isinstance(getattr(part, "ctx", None), ast.Store):
                part.ctx = ast.Load()
            return part

        def visit_Call(self, node: ast.Call) -> object:
            keywords = [k for k in node.keywords if k.arg is not None]
            own = {k.arg for k in keywords}
            if len(keywords) < len(node.keywords):
                keywords = [k for k in parts.get("K", ()) if k.arg not in own] + keywords
            args: list[Any] = []
            for a in node.args:
                args += parts.get("X", []) if isinstance(a, ast.Starred) else [self.visit(a)]
            words = [ast.keyword(k.arg, self.visit(k.value)) for k in keywords]
            return ast.Call(self.visit(node.func), copy.deepcopy(args), words)

    return _Fold().visit(Fill().visit(copy.deepcopy(template)))


class _Fold(ast.NodeTransformer):
    """`r ** (2 + 1)` is written r ** 3, `r ** (2 - 1)` r, `1.5 * (2 * r)` 3 * r."""

    def visit_BinOp(self, node: ast.BinOp) -> object:
        self.generic_visit(node)
        left, right = node.left, node.right
        whole = [n.value for n in (left, right)
                 if isinstance(n, ast.Constant) and isinstance(n.value, int)]
        if isinstance(node.op, (ast.Add, ast.Sub)) and len(whole) == 2:
            sign = 1 if isinstance(node.op, ast.Add) else -1
            return ast.Constant(whole[0] + sign * whole[1])
        if isinstance(node.op, ast.Sub) and isinstance(left, ast.BinOp) and isinstance(
                left.op, ast.Add) and ast.dump(left.right) == ast.dump(right):
            return left.left        # t + 1 - 1
        if isinstance(node.op, ast.Pow) and isinstance(right, ast.Constant) and right.value == 1:
            return left
        if isinstance(node.op, ast.Mult) and (number := _number(left)) is not None:
            return _times(number, node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> object:
        self.generic_visit(node)
        inner = node.value
        return inner.value if node.attr == "T" and isinstance(inner, ast.Attribute) and (
            inner.attr == "T") else node


def _number(node: ast.AST) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    return None


def _times(number: float, node: ast.BinOp) -> ast.expr:
    """A product whose first factor is this number, without brackets around the others."""
    place, above = node.right, node
    while isinstance(place, ast.BinOp) and isinstance(place.op, (ast.Mult, ast.Div)):
        above = place
        place = above.left
    second = _number(place)
    product = None if second is None else round(number * second, 9)
    first: ast.expr = ast.BinOp(ast.Constant(number), ast.Mult(), place)
    if product is not None and len(f"{product:g}") <= 3:
        first = ast.Constant(int(product) if product == int(product) else product)
    if above is node:
        return first
    above.left = first
    return node.right


def names_in(template: ast.AST) -> set[str]:
    """The letters and names of a template."""
    return {n.id for n in ast.walk(template) if isinstance(n, ast.Name)}


_TREES: dict[str, object] = {}


def tree(text: str) -> Any:
    """A pattern or replacement as a tree: of its one expression, or of its statement."""
    if text not in _TREES:
        statement = ast.parse(text, mode="exec").body[0] if text != "return E" else ast.Return(
            ast.Name("E", ast.Load()))
        _TREES[text] = statement.value if isinstance(statement, ast.Expr) else statement
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id == "np":
                setattr(node, OURS, True)
    return _TREES[text]


def structural(rows: list[Row], slot: Slot) -> Iterator[Edit]:
    """The edits of one place by the rows that need no name of another place."""
    node = slot.get()
    for row in rows:
        pattern, found = tree(row.pattern), dict[str, Any]()
        alone = isinstance(tree(row.replacement), ast.Return)
        if alone is not isinstance(node, ast.Expr) or not match(
                pattern, node.value if alone else node, found):
            continue
        new, keys = tree(row.replacement), names_in(tree(row.replacement)) & set(VALUES)
        for values in itertools.product(*(VALUES[key] for key in sorted(keys))):
            parts = {key: ast.parse(value, mode="eval").body
                     for key, value in zip(sorted(keys), values)}
            made = fill(new, **found, **parts)
            if isinstance(node, ast.stmt) and isinstance(made, ast.expr):
                made = ast.Expr(made)
            nothing = isinstance(made, ast.AugAssign) and getattr(made.value, "value", None) == 0
            if ast.dump(made) != ast.dump(node) and not nothing:
                yield Edit(row.kind, slot, made)


def places(node: ast.AST) -> list[Slot]:
    """The places of values in a tree, outer ones first."""
    return [slot for slot in slots(node) if is_value(slot)]


def is_value(slot: Slot) -> bool:
    """Does a place hold an expression of its own, and not the name of a function or a keyword?"""
    node, parent = slot.get(), slot.parent
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Starred, ast.Slice)):
        return False
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return False
    if slot.field in ("func", "annotation", "returns") or isinstance(
            parent, (ast.arguments, ast.arg)) or (
            isinstance(node, ast.Name) and node.id in (*ARRAYS, "math", "jax")):
        return False
    return not (isinstance(node, ast.Constant) and isinstance(node.value, str))


def swaps(function: Function, slot: Slot, keys: list[str]) -> Iterator[Edit]:
    """What rows cannot write: two things of a list exchanged, another key, another subscript."""
    node = slot.get()
    if isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) > 1 and slot.field != "slice":
        kind = "wrong-variable" if isinstance(node.ctx, ast.Store) else "another-input"
        for order in _orders(len(node.elts)):
            yield Edit(kind, slot, type(node)([node.elts[i] for i in order], node.ctx))
    elif isinstance(node, ast.Dict) and len(node.values) > 1:
        for order in _orders(len(node.values)):
            yield Edit("another-input", slot, ast.Dict(node.keys, [node.values[i] for i in order]))
    elif isinstance(node, ast.arguments) and len(node.args) > 1:
        for order in _orders(len(node.args)):
            new = copy.copy(node)
            new.args = [node.args[i] for i in order]
            yield Edit("arguments-swapped", slot, new)
    elif isinstance(node, ast.Call):
        for order in _orders(len(node.args)) if len(node.args) > 1 else ():
            yield Edit("arguments-swapped", slot,
                       ast.Call(node.func, [node.args[i] for i in order], node.keywords))
        for k in node.keywords:
            if k.arg == "dtype":
                yield Edit("float32", slot, ast.Call(
                    node.func, node.args, [w for w in node.keywords if w is not k]))
        # np.tanh(E), E.copy(), f(E)
        inner = node.func.value if isinstance(node.func, ast.Attribute) and ast.unparse(
            node.func.value) not in (*ARRAYS, "math") else None
        for part in [*node.args[:1], *([inner] if inner is not None else [])]:
            yield Edit("extra-call", slot, part)
        if ast.unparse(node.func) in [f"{module}.einsum" for module in ARRAYS] and isinstance(
                node.args[0], ast.Constant):
            yield from _einsums(slot, node, str(node.args[0].value))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        for kept, lost in [(node.left, node.right), (node.right, node.left)][:1 + isinstance(
                node.op, ast.Mult)]:
            kind = "extra-factor" if _number(lost) is None else "term-factor"
            yield Edit(kind, slot, kept)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        left, right = ast.dump(node.left), ast.dump(node.right)
        twice = right in left
        yield Edit("accumulated-twice" if twice else "extra-term", slot, node.left)
        if isinstance(node.op, ast.Add):
            yield Edit("extra-term", slot, node.right)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        for key in keys:
            if key != node.value:
                yield Edit("wrong-cache-key", slot, ast.Constant(key))
    if isinstance(node, ast.Subscript) or slot.field == "slice":
        yield from shifted(function, slot)
    if isinstance(node, ast.Subscript):
        yield from indexed(function, slot)
    if slot.field == "iter":
        ranged = isinstance(node, ast.Call) and ast.unparse(node.func) == "range"
        yield Edit("wrong-order", slot, fill(
            tree("reversed(E)" if ranged else "reversed(list(E))"), E=node))


def shifted(function: Function, slot: Slot) -> Iterator[Edit]:
    """Other windows of an array: a stride or a padding more, in every slice of a subscript."""
    node = slot.get()
    whole = [n for n, v in function.values.items() if type(v) is int and v > 0]
    inside = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    for stride in [n for n in whole if n not in inside]:
        names = [n for n in sorted(inside) if type(function.values.get(n)) is int]
        for chosen in [[n] for n in names] + [[*two] for two in itertools.combinations(names, 2)]:
            parts = {n: ast.BinOp(ast.Name(n, ast.Load()), ast.Mult(), ast.Name(stride, ast.Load()))
                     for n in chosen}
            yield Edit("wrong-index", slot, fill(node, **parts))
    for shift in whole:
        new, done = copy.deepcopy(node), False
        for part in ast.walk(new):
            if isinstance(part, ast.Slice) and part.lower is None and part.upper is not None:
                part.lower, done = ast.Name(shift, ast.Load()), True
                if isinstance(part.upper, ast.UnaryOp):  # :-2 * p is p:-p
                    part.upper = ast.UnaryOp(ast.USub(), ast.Name(shift, ast.Load()))
                else:
                    part.upper = ast.BinOp(ast.Name(shift, ast.Load()), ast.Add(), part.upper)
        if done:
            yield Edit("wrong-index", slot, new)


def indexed(function: Function, slot: Slot) -> Iterator[Edit]:
    """Other elements of an array: an index more or less, by one or by a name, or a first one that
    is kept elsewhere: `h[t - 1] if t > 0 else h0`."""
    node = slot.get()
    assert isinstance(node, ast.Subscript)
    whole = [n for n, v in function.values.items() if type(v) is int]
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for at, part in enumerate(parts):
        names = {n.id for n in ast.walk(part) if isinstance(n, ast.Name)}
        if isinstance(part, ast.Slice) or not names & {*whole}:
            continue
        others = [part]
        for step in [ast.Constant(1), *(ast.Name(n, ast.Load()) for n in whole if n not in names)]:
            for op in (ast.Sub(), ast.Add(), ast.Mult())[:2 + isinstance(step, ast.Name)]:
                others.append(_Fold().visit(ast.BinOp(copy.deepcopy(part), op, step)))
        firsts = [n for n, v in function.values.items() if isinstance(v, np.ndarray)]
        for other in others:
            index = [*parts[:at], other, *parts[at + 1:]]
            new = ast.Subscript(node.value, ast.Tuple(index, ast.Load()) if len(parts) > 1
                                else other, node.ctx)
            if other is not part:
                yield Edit("wrong-index", slot, new)
            back = isinstance(other, ast.BinOp) and isinstance(other.op, ast.Sub)
            for first in firsts if back and isinstance(node.ctx, ast.Load) else ():
                yield Edit("wrong-index", slot, ast.IfExp(
                    ast.Compare(copy.deepcopy(other), [ast.GtE()], [ast.Constant(0)]), new,
                    ast.Name(first, ast.Load())))


def throughout(slot: Slot) -> Iterator[Edit]:
    """The same change at every place in an expression where it can be made."""
    for row in THROUGHOUT:
        new = copy.deepcopy(slot.get())
        holder = ast.Module([ast.Expr(new)], [])
        count = 0
        for place in [s for s in slots(holder) if isinstance(s.get(), ast.expr)]:
            found: dict[str, object] = {}
            if match(tree(row.pattern), place.get(), found):
                place.put(fill(tree(row.replacement), **found))
                count += 1
        if count > 1:
            yield Edit(row.kind, slot, holder.body[0].value)  # type: ignore[attr-defined]


def _orders(n: int) -> Iterator[list[int]]:
    """Other orders of n things: all of three, else two exchanged."""
    if n == 3:
        yield from (list(order) for order in itertools.permutations(range(3)) if order != (0, 1, 2))
        return
    for i, j in itertools.combinations(range(n), 2):
        order = list(range(n))
        order[i], order[j] = j, i
        yield order


def _einsums(slot: Slot, node: ast.Call, text: str) -> Iterator[Edit]:
    """Other letters for one operand, or for the result, of an einsum."""
    parts = text.replace(" ", "").replace("->", ",").split(",")
    for at, part in enumerate(parts):
        if len(part) > 4 or "." in part:
            continue
        for order in itertools.permutations(part):
            new = parts[:at] + ["".join(order)] + parts[at + 1:]
            yield from _einsum(slot, node, new)
    letters = sorted(set("".join(parts)))
    for at, (one, other) in itertools.product(
            range(len(parts)), itertools.permutations(letters, 2)):
        if one in parts[at] and other not in parts[at]:
            yield from _einsum(
                slot, node, parts[:at] + [parts[at].replace(one, other)] + parts[at + 1:])
    for a, b in itertools.combinations(letters, 2):  # two letters exchanged where both stand
        for chosen in itertools.combinations(range(len(parts)), 2):
            table = str.maketrans(a + b, b + a)
            yield from _einsum(slot, node, [
                p.translate(table) if i in chosen else p for i, p in enumerate(parts)])


def _einsum(slot: Slot, node: ast.Call, parts: list[str]) -> Iterator[Edit]:
    text = ",".join(parts[:-1]) + "->" + parts[-1]
    if text != str(node.args[0].value):  # type: ignore[attr-defined]
        yield Edit("transposed", slot,
                   ast.Call(node.func, [ast.Constant(text), *node.args[1:]], node.keywords))


def is_mask(value: object) -> bool:
    """Flags, or values that are 0 or one other number."""
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return True
    levels = np.unique(array)
    return array.ndim > 0 and len(levels) == 2 and bool(levels[0] == 0)
