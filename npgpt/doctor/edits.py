"""The changes that a person might have to make to a backward: one table of rows.

A row is (pattern, replacement, kind). In both, E F G stand for any expression, T for what is
assigned to, I for an index, `*X` and `**K` for the rest of a call. In a replacement A and B run
over what is in reach at that place (names, attributes, entries of dictionaries, the code's own
expressions), M over masks, Y over integer labels, AXIS, AXES and KEEP over their values, and `c` is
a number that is solved for, since backward is affine in what it computes.

The rows stand in order of cost: what stands in an earlier level is tried first.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .source import Function, Slot, slots

ANY = frozenset("EFGTI")  # stand for a node; each for the same one wherever it stands
SOURCES = frozenset("ABMY")
AXIS = ("-1", "0", "1", "2", "-2", "(0, 1)", "(0, 2)", "(1, 2)", "(0, 2, 3)", "None")
AXES = ("0, 2, 1, 3", "0, 2, 1", "0, 2, 3, 1", "0, 3, 1, 2", "1, 0", "1, 0, 2")
VALUES = {"AXIS": AXIS, "AXES": AXES, "KEEP": ("True", "False")}
REDUCTIONS = ("sum", "mean", "max", "argmax", "prod", "var", "std")


class Row(NamedTuple):
    """The replacement repairs a fault of this kind."""

    pattern: str
    replacement: str
    kind: str


class Edit(NamedTuple):
    """Put `new` into `slot`: repairs a fault of this `kind`."""

    kind: str
    slot: Slot
    new: Any


def _rows(text: str) -> list[Row]:
    """One row a line: pattern -> replacement : kind."""
    rows = []
    for line in text.strip().splitlines():
        pattern, rest = line.split(" -> ")
        replacement, kind = rest.rsplit(" : ", 1)
        rows.append(Row(pattern.strip(), replacement.strip(), kind.strip()))
    return rows


STATEMENTS = _rows("""
    T += E -> T -= E : term-sign
    T -= E -> T += E : term-sign
    T = E -> T += E : overwritten
    T[I] = E -> np.add.at(T, I, E) : repeated-ids-overwritten
    T[I] += E -> np.add.at(T, I, E) : repeated-ids-overwritten
    T = E -> T -= E : overwritten
    T[:, I] = E -> T[np.arange(len(I)), I] = E : wrong-element
    T[:, I] -= E -> T[np.arange(len(I)), I] -= E : wrong-element
    T += E -> T = E : accumulated-twice
    T *= E -> T /= E : wrong-operator
    T /= E -> T *= E : wrong-operator
    T *= E -> pass : extra-factor
    T /= E -> pass : extra-factor
    T += E -> pass : extra-term
    T += E -> T[1:] += (E)[1:] : extra-term
    T -= E -> pass : extra-term
    E -> return E : forgotten-return
""")

STRUCTURE = _rows("""
    E + F -> E - F : term-sign
    E - F -> E + F : term-sign
    -E -> E : wrong-sign
    E - F -> F - E : wrong-sign
    E // F -> E / F : wrong-operator
    E / F -> E * F : wrong-operator
    E * F -> E / F : wrong-operator
    E * F -> E @ F : wrong-operator
    np.where(E, F, G) -> np.where(E, G, F) : mask-inverted
    E > F -> E < F : mask-inverted
    E < F -> E > F : mask-inverted
    E >= F -> E <= F : mask-inverted
    E <= F -> E >= F : mask-inverted
    E == F -> E != F : mask-inverted
    E != F -> E == F : mask-inverted
    E.T -> E : transposed
    E @ F -> E.T @ F : transposed
    E @ F -> E @ F.T : transposed
    E @ F -> E.T @ F.T : transposed
    E @ F -> F.T @ E : transposed
    E @ F -> F @ E : transposed
    E @ F -> E.swapaxes(-1, -2) @ F : transposed
    E @ F -> E @ F.swapaxes(-1, -2) : transposed
    np.dot(E, F) -> np.dot(E.T, F) : transposed
    np.dot(E, F) -> np.dot(E, F.T) : transposed
    np.dot(E, F) -> np.dot(F.T, E) : transposed
    np.dot(E, F) -> np.dot(F, E) : transposed
    E.dot(F) -> E.T.dot(F) : transposed
    E.dot(F) -> E.dot(F.T) : transposed
    E.dot(F) -> F.T.dot(E) : transposed
    E.T @ F -> F.T @ E : transposed
    np.dot(E.T, F) -> np.dot(F.T, E) : transposed
    E.T.dot(F) -> F.T.dot(E) : transposed
    E.swapaxes(*X) -> E : transposed
    E.transpose(*X) -> E : axes-swapped
    np.transpose(E, *X) -> E : axes-swapped
    E.reshape(F, G) -> E.reshape(G, F).T : transposed
    E.reshape(*X) -> E.transpose(AXES).reshape(*X) : axes-swapped
    E.reshape(*X) -> E : axes-swapped
    E -> E.T : transposed
    E -> E.swapaxes(-1, -2) : transposed
    E -> E.swapaxes(1, 2) : axes-swapped
    E -> E.swapaxes(0, 1) : axes-swapped
    E -> E[..., ::-1] : axes-swapped
    E -> E[::-1] : axes-swapped
    E[:, :, ::-1, ::-1] -> E : axes-swapped
    E[::-1] -> E : axes-swapped
    E[..., ::-1] -> E : axes-swapped
    reversed(E) -> E : wrong-order
    E[:I] -> E[I:] : wrong-variable
    E[I:] -> E[:I] : wrong-variable
    E[I] -> E[I - 1] : wrong-variable
    E[I] -> E[I + 1] : wrong-variable
    np.argmin(E, *X, **K) -> np.argmax(E, *X, **K) : mask-redrawn
    np.argmax(E, *X, **K) -> np.argmin(E, *X, **K) : mask-redrawn
    E ** F -> E ** (F - 1) : missing-factor
    E ** F -> E ** (F + 1) : missing-factor
    E.astype(F) -> E : float32
    np.diagflat(E * (1 - E)) -> np.diagflat(E) - E @ E.T : softmax-diagonal
    np.diag(E * (1 - E)) -> np.diag(E) - np.outer(E, E) : softmax-diagonal
    np.diagflat(E) -> np.diagflat(E) - E @ E.T : softmax-diagonal
    np.diag(E) -> np.diag(E) - np.outer(E, E) : softmax-diagonal
""") + [
    Row(f"{before}.{one}({first}*X, **K)", f"{before}.{other}({first}*X, **K)", kind)
    for before, first in (("E", ""), ("np", "E, "))
    for one, other, kind in (("sum", "mean", "sum-for-mean"), ("mean", "sum", "mean-for-sum"))
] + [
    Row(f"{before}.{name}({first}*X, **K)", f"{before}.{name}({first}{rest})", kind)
    for name in REDUCTIONS for before, first in (("E", ""), ("np", "E, "))
    for rest, kind in (("*X, **K, keepdims=True", "keepdims"),
                       ("axis=AXIS, **K", "wrong-axis"), ("axis=AXIS, keepdims=KEEP", "wrong-axis"))
]

FORWARD = _rows("""
    np.sqrt(E + F) -> np.sqrt(E) + F : eps-outside-root
    np.sqrt(E) + F -> np.sqrt(E + F) : eps-outside-root
    E.var(*X, ddof=F) -> E.var(*X) : bessel
    E.var(*X) -> E.var(*X, ddof=1) : bessel
    np.var(E, *X, ddof=F) -> np.var(E, *X) : bessel
    np.var(E, *X) -> np.var(E, *X, ddof=1) : bessel
    E / (F - 1) -> E / F : bessel
    E / F -> E / (F - 1) : bessel
    T = E -> T += E : overwritten
    E * F -> E : extra-factor
    E / F -> E : extra-factor
""") + [row for row in STRUCTURE if row.kind in (
    "keepdims", "wrong-axis", "mean-for-sum", "sum-for-mean", "transposed", "axes-swapped",
    "term-sign", "float32")]

SHAPES = _rows("""
    E -> E.sum(axis=AXIS) : missing-broadcast-sum
    E -> E.sum(axis=AXIS, keepdims=True) : missing-broadcast-sum
    E -> E[:, None] : keepdims
    E -> E[..., None] : keepdims
    E -> E.reshape(A.shape) : wrong-shape
""")

OTHER_NAME = _rows("E -> A : wrong-variable")

ONE_NAME = _rows("""
    E -> c * E : term-factor
    E -> E * A : missing-factor
    E -> E / A : missing-factor
    E -> E + c * A : missing-term
    E -> E * M : mask-forgotten
    E -> E * (1 - M) : mask-forgotten
    E -> E - np.eye(E.shape[-1])[Y] : one-hot-forgotten
    E -> E - np.eye(E.shape[0])[:, [Y]] : one-hot-forgotten
    E -> E - np.eye(E.shape[0])[Y] : one-hot-forgotten
    E -> (E - np.eye(E.shape[-1])[Y]) / len(Y) : one-hot-forgotten
""")

FORMS = _rows("""
    E -> E * (1 - A) : missing-factor
    E -> E * (1 - A * A) : missing-factor
    E -> E * A * (1 - A) : missing-factor
    E -> E * (1 + A) : missing-factor
    E -> E * A ** 2 : missing-factor
    E -> E / A ** 2 : missing-factor
    E -> E * np.exp(A) : missing-factor
    E -> E * np.exp(-A * A / 2) : missing-factor
    E -> E * np.cos(A) : missing-factor
    E -> E * np.sqrt(A) : missing-factor
    E -> E / np.sqrt(A) : missing-factor
    E -> E * (A > 0) : mask-forgotten
    E -> E * np.sign(A) : missing-factor
    E -> E * A[..., None] : missing-factor
    E -> E * A[:, None] : missing-factor
    E -> E * A.swapaxes(-1, -2) : missing-factor
    E -> A > 0 : wrong-variable
    E -> 1 - A : wrong-variable
    E -> A * A : wrong-variable
    E -> np.exp(A) : missing-factor
    E -> E - A * E.sum(-1, keepdims=True) : softmax-diagonal
    E -> E - A * E.sum(0) : softmax-diagonal
    E -> A * (E - (E * A).sum(-1, keepdims=True)) : softmax-diagonal
    E -> E - (E * A).sum(-1, keepdims=True) : softmax-diagonal
    E -> E - E.mean(-1, keepdims=True) : missing-term
    E -> E - E.mean(0) : missing-term
    E -> E + c * A.sum(-1, keepdims=True) : missing-term
    E -> E + c * A[..., None] : missing-term
    E -> E + c * A.T : missing-term
    E -> E + c * np.sign(A) : missing-term
    E -> E + c : missing-term
    E -> np.where(A > 0, E, 0) : mask-forgotten
""")

TWO_NAMES = _rows("""
    E -> E * A * B : missing-factor
    E -> E * A / B : missing-factor
    E -> E / A / B : missing-factor
    E -> E * A * (1 - B) : missing-factor
    E -> E * (A - B) : missing-factor
    E -> E * (A + B) : missing-factor
    E -> E * A * (1 - B * B) : missing-factor
    E -> E * A + B : missing-term
    E -> E + c * A * B : missing-term
    E -> E + c * A / B : missing-term
    E -> E + c * A @ B : missing-term
    E -> E + c * A @ B.T : missing-term
    E -> E + c * A.T @ B : missing-term
    E -> A * B : wrong-variable
    E -> A / B : wrong-variable
    E -> A - B : wrong-variable
    E -> A @ B : wrong-variable
    E -> A @ B.T : wrong-variable
    E -> A.T @ B : wrong-variable
    E -> A * (B - (A * B).sum(-1, keepdims=True)) : softmax-diagonal
    E -> E - A * (A * B).sum(-1, keepdims=True) : missing-term
    E -> E - A * (A * B).mean(-1, keepdims=True) : missing-term
    E -> E - A * (A * B).mean(0) : missing-term
    E -> E + c * A * B.sum(-1, keepdims=True) : missing-term
    E -> np.where(A, E, B * np.sign(E)) : mask-forgotten
    E -> np.where(A, E, B) : mask-forgotten
    E -> np.where(A, B, E) : mask-forgotten
    E -> np.where(A > 0, E, B * E) : missing-factor
    E -> E * np.where(A > 0, 1, B) : missing-factor
""")


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

        def visit_Call(self, node: ast.Call) -> Any:
            keywords = [k for k in node.keywords if k.arg is not None]
            own = {k.arg for k in keywords}
            if len(keywords) < len(node.keywords):
                keywords = [k for k in parts.get("K", ()) if k.arg not in own] + keywords
            args = []
            for a in node.args:
                args += parts.get("X", []) if isinstance(a, ast.Starred) else [self.visit(a)]
            words = [ast.keyword(k.arg, self.visit(k.value)) for k in keywords]
            return ast.Call(self.visit(node.func), copy.deepcopy(args), words)

    return _Fold().visit(Fill().visit(copy.deepcopy(template)))


class _Fold(ast.NodeTransformer):
    """`r ** (2 + 1)` is written r ** 3, `a + -b` a - b."""

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        self.generic_visit(node)
        left, right = node.left, node.right
        if isinstance(node.op, (ast.Add, ast.Sub)) and isinstance(left, ast.Constant) and isinstance(
                right, ast.Constant) and isinstance(left.value, int) and isinstance(
                right.value, int):
            return ast.Constant(left.value + (1 if isinstance(node.op, ast.Add) else -1)
                                * right.value)
        return node


def names_in(template: ast.AST) -> set[str]:
    """The letters and names of a template."""
    return {n.id for n in ast.walk(template) if isinstance(n, ast.Name)}


_TREES: dict[str, Any] = {}


def tree(text: str) -> Any:
    """A pattern or replacement as a tree: of its one expression, or of its statement."""
    if text not in _TREES:
        statement = ast.parse(text, mode="exec").body[0] if text != "return E" else ast.Return(
            ast.Name("E", ast.Load()))
        _TREES[text] = statement.value if isinstance(statement, ast.Expr) else statement
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
            if ast.dump(made) != ast.dump(node):
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
            isinstance(node, ast.Name) and node.id in ("np", "numpy", "math")):
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
            node.func.value) not in ("np", "numpy", "math") else None
        for part in [*node.args[:1], *([inner] if inner is not None else [])]:
            yield Edit("extra-call", slot, part)
        if ast.unparse(node.func) == "np.einsum" and isinstance(node.args[0], ast.Constant):
            yield from _einsums(slot, node, str(node.args[0].value))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        yield Edit("extra-factor", slot, node.left)
        if isinstance(node.op, ast.Mult):
            yield Edit("extra-factor", slot, node.right)
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
    if slot.field == "iter":
        yield Edit("wrong-order", slot, fill(tree("reversed(list(E))"), E=node))


def shifted(function: Function, slot: Slot) -> Iterator[Edit]:
    """Other windows of an array: a stride or a padding more, in every slice of a subscript."""
    node = slot.get()
    whole = [n for n, v in function.values.items() if type(v) is int and v > 0]
    inside = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    for stride in [n for n in whole if n not in inside]:
        names = [n for n in sorted(inside) if type(function.values.get(n)) is int]
        for chosen in [[n] for n in names] + [names[-2:]] * (len(names) > 1):
            parts = {n: ast.BinOp(ast.Name(n, ast.Load()), ast.Mult(), ast.Name(stride, ast.Load()))
                     for n in chosen}
            yield Edit("wrong-element", slot, fill(node, **parts))
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
            yield Edit("wrong-element", slot, new)


def throughout(slot: Slot) -> Iterator[Edit]:
    """The same change at every place in an expression where it can be made."""
    for row in THROUGHOUT:
        new = copy.deepcopy(slot.get())
        holder = ast.Module([ast.Expr(new)], [])
        count = 0
        for place in [s for s in slots(holder) if isinstance(s.get(), ast.expr)]:
            found: dict[str, Any] = {}
            if match(tree(row.pattern), place.get(), found):
                place.put(fill(tree(row.replacement), **found))
                count += 1
        if count > 1:
            yield Edit(row.kind, slot, holder.body[0].value)  # type: ignore[attr-defined]


THROUGHOUT = _rows("""
    E @ F -> E @ F.T : transposed
    E @ F.T -> E @ F : transposed
    E @ F -> E.T @ F : transposed
    E.T @ F -> E @ F : transposed
    E + F -> E - F : term-sign
    E - F -> E + F : term-sign
""")


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


def is_mask(value: Any) -> bool:
    """Flags, or values that are 0 or one other number."""
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return True
    levels = np.unique(array)
    return array.ndim > 0 and len(levels) == 2 and bool(levels[0] == 0)


