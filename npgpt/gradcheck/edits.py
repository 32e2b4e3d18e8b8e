"""Small changes to a backward that a person might have to make, most telling first.

Each edit knows what fault it would repair. `_c` in an edit is an unknown number: it is found by
least squares, since backward is (nearly always) affine in it.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .source import Slot, slots

Shapes = dict[str, Any]  # local names and their values, as seen in one run
AXES = [-1, -2, 0, 1, 2, None]


@dataclass(frozen=True)
class Edit:
    """Put `new` into `slot`: repairs a fault of this `kind`.

    `neutral` is the value of _c that changes nothing; an edit that always changes something but has
    a _c is `fitted` from its answers at 0 and 1.
    """

    kind: str
    slot: Slot
    new: Any
    neutral: float | None = None
    fitted: bool = False


def edits(tree: ast.FunctionDef, seen: Shapes) -> Iterator[list[Edit]]:
    """All edits of one function, family by family. `seen`: its local values."""
    places = [slot for slot in slots(tree) if _is_value(slot)]
    arrays = [
        n
        for n, v in seen.items()
        if isinstance(v, (np.ndarray, float, np.floating)) and np.asarray(v).dtype.kind in "fb"
    ]
    for family in FAMILIES:
        yield list(family(tree, places, arrays, seen))


def expression(text: str, **parts: Any) -> Any:
    """The expression `text` with the names in `parts` replaced by nodes."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> Any:
            return parts.get(node.id, node)

    return Fill().visit(ast.parse(text, mode="eval").body)


def _is_value(slot: Slot) -> bool:
    node = slot.get()
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Tuple, ast.Starred, ast.Slice)):
        return False
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return False
    if slot.field in ("func", "slice", "annotation", "returns") or isinstance(
        slot.parent, ast.arguments
    ):
        return False
    return not isinstance(slot.parent, (ast.keyword, ast.Subscript, ast.Attribute, ast.arg)) or (
        isinstance(slot.parent, ast.Attribute) and isinstance(node, (ast.BinOp, ast.Name, ast.Call))
    )


Family = Callable[[ast.FunctionDef, list[Slot], list[str], Shapes], Iterator[Edit]]


def _statements(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    for slot in list(slots(tree)):
        node = slot.get()
        if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield Edit("term-sign", slot, ast.AugAssign(node.target, other, node.value))
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, (ast.Assign, ast.AugAssign)) and isinstance(target, ast.Subscript):
            # a[1:3] is no argument of a call, and repeats no row
            inside = list(ast.walk(target.slice))
            if not any(isinstance(part, ast.Slice) for part in inside) and any(
                isinstance(part, ast.Name) for part in inside
            ):
                call = ast.Expr(
                    expression("np.add.at(t, i, v)", t=target.value, i=target.slice, v=node.value)
                )
                load = ast.parse(ast.unparse(call)).body[0]
                yield Edit("repeated-ids-overwritten", slot, load)
        if isinstance(node, ast.Assign) and isinstance(target, ast.Subscript):
            yield Edit("overwritten", slot, ast.AugAssign(target, ast.Add(), node.value))
            yield Edit("overwritten", slot, ast.AugAssign(target, ast.Sub(), node.value))


def _calls(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    for slot in places:
        node = slot.get()
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean"):
            yield from _axes(slot, node)
            was_sum = node.func.attr == "sum"
            func = ast.Attribute(node.func.value, "mean" if was_sum else "sum", ast.Load())
            yield Edit(
                "sum-for-mean" if was_sum else "mean-for-sum",
                slot,
                ast.Call(func, node.args, node.keywords),
            )
        for k, keyword in enumerate(node.keywords):
            if keyword.arg in ("axis", "keepdims"):
                for value in [True, False] if keyword.arg == "keepdims" else AXES:
                    words = list(node.keywords)
                    words[k] = ast.keyword(keyword.arg, ast.Constant(value))
                    yield Edit("wrong-axis", slot, ast.Call(node.func, node.args, words))


def _axes(slot: Slot, node: ast.Call) -> Iterator[Edit]:
    """Other axes for x.sum(0) and np.sum(x, 0), whose axis has no name; one where there is none."""
    assert isinstance(node.func, ast.Attribute)
    at = int(ast.unparse(node.func.value) in ("np", "numpy"))
    if any(word.arg == "axis" for word in node.keywords) or len(node.args) > at + 1:
        return
    for value in AXES if len(node.args) > at else AXES[:-1]:
        arguments = [*node.args[:at], ast.Constant(value)]
        yield Edit("wrong-axis", slot, ast.Call(node.func, arguments, node.keywords))
        if not any(word.arg == "keepdims" for word in node.keywords):
            words = [*node.keywords, ast.keyword("keepdims", ast.Constant(True))]
            yield Edit("wrong-axis", slot, ast.Call(node.func, arguments, words))


def _layout(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    for slot in places:
        node = slot.get()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("swapaxes", "transpose"):
                yield Edit("transposed", slot, node.func.value)
        if isinstance(node, ast.Attribute) and node.attr == "T":
            yield Edit("transposed", slot, node.value)
        if isinstance(slot.parent, ast.BinOp) and isinstance(slot.parent.op, ast.MatMult):
            yield Edit("transposed", slot, expression("e.swapaxes(-1, -2)", e=node))
            yield Edit("axes-swapped", slot, expression("e[..., ::-1]", e=node))
    for slot in places:
        node = slot.get()
        if isinstance(node, (ast.Name, ast.BinOp, ast.Call)):
            for axes, kind in (
                ("-1, -2", "transposed"),
                ("1, 2", "axes-swapped"),
                ("0, 1", "axes-swapped"),
            ):
                yield Edit(kind, slot, expression(f"e.swapaxes({axes})", e=node))


def _names(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    for slot in list(slots(tree)):
        node = slot.get()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in seen:
            for other in seen:
                if other != node.id and _alike(seen[node.id], seen[other]):
                    yield Edit("wrong-variable", slot, ast.Name(other, ast.Load()))


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype.kind == b.dtype.kind == "f":
            return True
        return a.dtype.kind == b.dtype.kind and a.shape == b.shape
    return type(a) is type(b) and not callable(a)


def _coefficients(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    for slot in places:
        node = slot.get()
        summand = isinstance(slot.parent, ast.BinOp) and isinstance(
            slot.parent.op, (ast.Add, ast.Sub)
        )
        if summand or isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            yield Edit("term-factor", slot, expression("_c * e", e=node), neutral=1.0)
    for slot in places:
        if isinstance(slot.get(), (ast.BinOp, ast.Call, ast.Name)):
            yield Edit("term-factor", slot, expression("_c * e", e=slot.get()), neutral=1.0)


def _copies(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    for slot in places:
        if isinstance(slot.parent, ast.BinOp) and isinstance(slot.parent.op, (ast.Add, ast.Sub)):
            if _comes_twice(slot):
                parent: Any = slot.parent
                other = parent.left if slot.field == "right" else parent.right
                place = next(s for s in slots(tree) if s.get() is slot.parent)
                yield Edit("accumulated-twice", place, other)


def _comes_twice(slot: Slot) -> bool:
    """Is this summand a copy of another one in the same sum?"""
    text = ast.unparse(slot.get())
    parent: Any = slot.parent
    other = parent.left if slot.field == "right" else parent.right
    while isinstance(other, ast.BinOp) and isinstance(other.op, (ast.Add, ast.Sub)):
        if text in (ast.unparse(other.right), ast.unparse(other.left)):
            return True
        other = other.left
    return text == ast.unparse(other)


def _unused(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for name in arrays:
        if name not in used:
            yield from _added(places, name)


def _terms(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    for name in arrays:
        yield from _added(places, name)


def _added(places: list[Slot], name: str) -> Iterator[Edit]:
    for slot in places:
        node = slot.get()
        if isinstance(node, (ast.Name, ast.BinOp, ast.Call)) and ast.unparse(node) != name:
            new = expression("e + _c * n", e=node, n=ast.Name(name, ast.Load()))
            yield Edit("missing-term", slot, new, neutral=0.0)


def _products(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    yield from _multiplied(places, arrays, seen, ("n", "1 / n"))


def _pairs(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for a, b in itertools.combinations(arrays, 2):
        forms = ["_c * (e * a * b)", "_c * (e * a * (1 - b * b))", "_c * (e * (1 - a * a) * b)"]
        if a not in used or b not in used:
            forms += ["_c * (e * (a + b))", "_c * (e * (a - b))"]
        for slot in places:
            if not isinstance(slot.get(), (ast.Name, ast.BinOp, ast.Call)):
                continue
            for form in forms:
                parts = {"a": ast.Name(a, ast.Load()), "b": ast.Name(b, ast.Load())}
                yield Edit(
                    "missing-factor", slot, expression(form, e=slot.get(), **parts), fitted=True
                )


def _rich_products(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    yield from _multiplied(
        places,
        arrays,
        seen,
        (
            "(1 - n)",
            "(1 - n * n)",
            "n * n",
            "n * (1 - n)",
            "(1 + n)",
            "n.swapaxes(-1, -2)",
            "n[..., None]",
            "np.exp(n)",
            "np.exp(-n * n / 2)",
            "np.sqrt(n)",
            "1 / np.sqrt(n)",
            "np.cos(n)",
        ),
    )
    yield from _own_expressions(tree, places, seen)


def _own_expressions(tree: ast.FunctionDef, places: list[Slot], seen: Shapes) -> Iterator[Edit]:
    """A factor that backward has elsewhere, in another term or another gradient."""
    own: dict[str, Any] = {}
    for slot in places:
        node = slot.get()
        if isinstance(node, (ast.BinOp, ast.Call)):
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if names <= {*seen, "np"} and names & set(seen):
                own.setdefault(ast.unparse(node), node)
    for slot in places:
        node = slot.get()
        for text, factor in list(own.items())[:16]:
            if isinstance(node, (ast.Name, ast.BinOp, ast.Call)) and ast.unparse(node) != text:
                new = expression("_c * (e * f)", e=node, f=copy.deepcopy(factor))
                yield Edit("missing-factor", slot, new, fitted=True)


def _multiplied(
    places: list[Slot], arrays: list[str], seen: Shapes, forms: tuple[str, ...]
) -> Iterator[Edit]:
    for slot in places:
        node = slot.get()
        if not isinstance(node, (ast.Name, ast.BinOp, ast.Call)):
            continue
        if isinstance(node, ast.Name) and node.id not in seen:
            continue
        for name in arrays:
            kind = "mask-forgotten" if is_mask(seen[name]) else "missing-factor"
            for form in forms:
                new = expression(form, n=ast.Name(name, ast.Load()))
                yield Edit(kind, slot, expression("_c * (e * f)", e=node, f=new), fitted=True)


def is_mask(value: Any) -> bool:
    """Flags, or numbers that are 0 or one other value."""
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return True
    levels = np.unique(array)
    return array.ndim > 0 and len(levels) == 2 and levels[0] == 0


def _conditions(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    masks = [n for n in arrays if np.asarray(seen[n]).dtype.kind == "b"]
    for slot in places:
        node = slot.get()
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "np.where"
            and len(node.args) == 3
        ):
            test, yes, no = node.args
            yield Edit("mask-inverted", slot, ast.Call(node.func, [test, no, yes], []))
            for name in masks:
                yield Edit(
                    "mask-redrawn",
                    slot,
                    ast.Call(node.func, [ast.Name(name, ast.Load()), yes, no], []),
                )
        for name in masks:
            for form in ("np.where(n, e, 0)", "np.where(n, 0, e)"):
                new = expression(form, n=ast.Name(name, ast.Load()), e=node)
                yield Edit("mask-forgotten", slot, new)


def _spare(
    tree: ast.FunctionDef, places: list[Slot], arrays: list[str], seen: Shapes
) -> Iterator[Edit]:
    for slot in places:
        node = slot.get()
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            yield Edit("extra-factor", slot, expression("_c * e", e=node.left), fitted=True)
            if isinstance(node.op, ast.Mult):
                yield Edit("extra-factor", slot, expression("_c * e", e=node.right), fitted=True)
                yield Edit("wrong-operator", slot, ast.BinOp(node.left, ast.Div(), node.right))
            else:
                yield Edit("wrong-operator", slot, ast.BinOp(node.left, ast.Mult(), node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            whole = ast.unparse(node.func.value) in ("np", "numpy")
            if not whole or node.args:
                yield Edit("extra-call", slot, node.args[0] if whole else node.func.value)
        for axes in ("0", "-1", "(0, 1)"):
            if isinstance(node, (ast.Name, ast.BinOp)):
                yield Edit("missing-broadcast-sum", slot, expression(f"e.sum(axis={axes})", e=node))


FAMILIES: list[Family] = [
    _statements,
    _calls,
    _layout,
    _names,
    _copies,
    _coefficients,
    _unused,
    _conditions,
    _spare,
    _products,
    _terms,
    _pairs,
    _rich_products,
]
