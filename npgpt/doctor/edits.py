"""Small changes to a backward that a person might have to make, most telling first.

Each edit knows what fault it would repair. `_c` in an edit is an unknown number: it is found by
least squares, since backward is (nearly always) affine in it.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .source import Slot, slots

Values = dict[str, Any]  # local names and their values, as seen in one run
AXES = [-1, -2, 0, 1, 2, None]
TERMS = (ast.Name, ast.BinOp, ast.Call)  # what may be a term or a factor of its own
EXPRESSIONS = 16  # of backward's own that are tried as a forgotten factor


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


class _Function:
    """One function: its `tree`, the `places` of values in it, the local `values` of one run, the
    `arrays` among these, and the names that are `used`."""

    def __init__(self, tree: ast.FunctionDef, values: Values) -> None:
        self.tree, self.values = tree, values
        self.places = [slot for slot in slots(tree) if _is_value(slot)]
        self.terms = [slot for slot in self.places if isinstance(slot.get(), TERMS)]
        self.arrays = [
            name for name, value in values.items()
            if isinstance(value, (np.ndarray, float, np.floating))
            and np.asarray(value).dtype.kind in "fb"
        ]
        self.used = {n.id for n in ast.walk(tree)
                     if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def edits(tree: ast.FunctionDef, values: Values) -> Iterator[list[Edit]]:
    """All edits of one function, family by family. `values`: its local ones, by name."""
    function = _Function(tree, values)
    for family in FAMILIES:
        yield list(family(function))


def expression(text: str, **parts: Any) -> Any:
    """The expression `text` with the names in `parts` replaced: by nodes, or by other names."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> Any:
            part = parts.get(node.id, node)
            return ast.Name(part, ast.Load()) if isinstance(part, str) else part

    return Fill().visit(ast.parse(text, mode="eval").body)


def _is_value(slot: Slot) -> bool:
    node, parent = slot.get(), slot.parent
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Tuple, ast.Starred, ast.Slice)):
        return False
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return False
    if slot.field in ("func", "slice", "annotation", "returns") or isinstance(
            parent, (ast.arguments, ast.keyword, ast.Subscript, ast.arg)):
        return False
    return not isinstance(parent, ast.Attribute) or isinstance(node, TERMS)


def _is_sum(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))


def _statements(f: _Function) -> Iterator[Edit]:
    for slot in list(slots(f.tree)):
        node = slot.get()
        if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield Edit("term-sign", slot, ast.AugAssign(node.target, other, node.value))
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, (ast.Assign, ast.AugAssign)) and isinstance(target, ast.Subscript):
            # a[1:3] is not an argument of a call, and repeats no row
            inside = list(ast.walk(target.slice))
            if not any(isinstance(part, ast.Slice) for part in inside) and any(
                    isinstance(part, ast.Name) for part in inside):
                call = ast.Expr(expression(
                    "np.add.at(t, i, v)", t=target.value, i=target.slice, v=node.value))
                yield Edit("repeated-ids-overwritten", slot, ast.parse(ast.unparse(call)).body[0])
        if isinstance(node, ast.Assign) and isinstance(target, ast.Subscript):
            yield Edit("overwritten", slot, ast.AugAssign(target, ast.Add(), node.value))
            yield Edit("overwritten", slot, ast.AugAssign(target, ast.Sub(), node.value))


def _calls(f: _Function) -> Iterator[Edit]:
    for slot in f.places:
        node = slot.get()
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean"):
            yield from _axes(slot, node)
            other, kind = ("mean", "sum-for-mean") if node.func.attr == "sum" else (
                "sum", "mean-for-sum")
            func = ast.Attribute(node.func.value, other, ast.Load())
            yield Edit(kind, slot, ast.Call(func, node.args, node.keywords))
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


def _layout(f: _Function) -> Iterator[Edit]:
    for slot in f.places:
        node, parent = slot.get(), slot.parent
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("swapaxes", "transpose"):
                yield Edit("transposed", slot, node.func.value)
        if isinstance(node, ast.Attribute) and node.attr == "T":
            yield Edit("transposed", slot, node.value)
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.MatMult):
            yield Edit("transposed", slot, expression("e.swapaxes(-1, -2)", e=node))
            yield Edit("axes-swapped", slot, expression("e[..., ::-1]", e=node))
    for slot in f.terms:
        for axes, kind in (
            ("-1, -2", "transposed"), ("1, 2", "axes-swapped"), ("0, 1", "axes-swapped"),
        ):
            yield Edit(kind, slot, expression(f"e.swapaxes({axes})", e=slot.get()))


def _names(f: _Function) -> Iterator[Edit]:
    for slot in list(slots(f.tree)):
        node = slot.get()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in f.values:
            for other, value in f.values.items():
                if other != node.id and _alike(f.values[node.id], value):
                    yield Edit("wrong-variable", slot, ast.Name(other, ast.Load()))


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        kind = a.dtype.kind
        return bool(kind == b.dtype.kind and (kind == "f" or a.shape == b.shape))
    return type(a) is type(b) and not callable(a)


def _coefficients(f: _Function) -> Iterator[Edit]:
    numbers = [slot for slot in f.places if _is_sum(slot.parent)
               or isinstance(getattr(slot.get(), "value", None), (int, float))]
    for slot in numbers + f.terms:
        yield Edit("term-factor", slot, expression("_c * e", e=slot.get()), neutral=1.0)


def _copies(f: _Function) -> Iterator[Edit]:
    """A summand that is a copy of another one in the same sum."""
    for slot in f.places:
        if not _is_sum(slot.parent):
            continue
        parent: Any = slot.parent
        other = rest = parent.left if slot.field == "right" else parent.right
        texts = []
        while _is_sum(rest):
            texts += [ast.unparse(rest.right), ast.unparse(rest.left)]
            rest = rest.left
        if ast.unparse(slot.get()) in [*texts, ast.unparse(rest)]:
            place = next(s for s in slots(f.tree) if s.get() is parent)
            yield Edit("accumulated-twice", place, other)


def _added(f: _Function, names: list[str]) -> Iterator[Edit]:
    for name in names:
        for slot in f.terms:
            if ast.unparse(slot.get()) != name:
                new = expression("e + _c * n", e=slot.get(), n=name)
                yield Edit("missing-term", slot, new, neutral=0.0)


def _pairs(f: _Function) -> Iterator[Edit]:
    for a, b in itertools.combinations(f.arrays, 2):
        forms = ["_c * (e * a * b)", "_c * (e * a * (1 - b * b))", "_c * (e * (1 - a * a) * b)"]
        if not {a, b} <= f.used:
            forms += ["_c * (e * (a + b))", "_c * (e * (a - b))"]
        for slot, form in itertools.product(f.terms, forms):
            new = expression(form, e=slot.get(), a=a, b=b)
            yield Edit("missing-factor", slot, new, fitted=True)


def _rich_factors(f: _Function) -> Iterator[Edit]:
    yield from _multiplied(f, (
        "(1 - n)", "(1 - n * n)", "n * n", "n * (1 - n)", "(1 + n)", "n.swapaxes(-1, -2)",
        "n[..., None]", "np.exp(n)", "np.exp(-n * n / 2)", "np.sqrt(n)", "1 / np.sqrt(n)",
        "np.cos(n)",
    ))
    # a factor that backward has elsewhere, in another term or another gradient
    own: Values = {}
    for slot in f.places:
        node = slot.get()
        if isinstance(node, (ast.BinOp, ast.Call)):
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if names <= {*f.values, "np"} and names & set(f.values):
                own.setdefault(ast.unparse(node), node)
    for slot, (text, factor) in itertools.product(f.terms, list(own.items())[:EXPRESSIONS]):
        if ast.unparse(slot.get()) != text:
            new = expression("_c * (e * f)", e=slot.get(), f=copy.deepcopy(factor))
            yield Edit("missing-factor", slot, new, fitted=True)


def _multiplied(f: _Function, forms: Iterable[str]) -> Iterator[Edit]:
    kinds = {name: "mask-forgotten" if is_mask(f.values[name]) else "missing-factor"
             for name in f.arrays}
    for slot in f.terms:
        node = slot.get()
        if isinstance(node, ast.Name) and node.id not in f.values:
            continue
        for name, form in itertools.product(f.arrays, forms):
            new = expression("_c * (e * f)", e=node, f=expression(form, n=name))
            yield Edit(kinds[name], slot, new, fitted=True)


def is_mask(value: Any) -> bool:
    """Flags, or values that are 0 or one other number."""
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return True
    levels = np.unique(array)
    return array.ndim > 0 and len(levels) == 2 and bool(levels[0] == 0)


def _conditions(f: _Function) -> Iterator[Edit]:
    masks = [name for name in f.arrays if np.asarray(f.values[name]).dtype.kind == "b"]
    for slot in f.places:
        node = slot.get()
        where = isinstance(node, ast.Call) and ast.unparse(node.func) == "np.where"
        if where and len(node.args) == 3:
            test, yes, no = node.args
            yield Edit("mask-inverted", slot, ast.Call(node.func, [test, no, yes], []))
            for name in masks:
                new = ast.Call(node.func, [ast.Name(name, ast.Load()), yes, no], [])
                yield Edit("mask-redrawn", slot, new)
        for name in masks:
            for form in ("np.where(n, e, 0)", "np.where(n, 0, e)"):
                yield Edit("mask-forgotten", slot, expression(form, n=name, e=node))


def _spare(f: _Function) -> Iterator[Edit]:
    for slot in f.places:
        node = slot.get()
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            times = isinstance(node.op, ast.Mult)
            for factor in (node.left, node.right) if times else (node.left,):
                yield Edit("extra-factor", slot, expression("_c * e", e=factor), fitted=True)
            other = ast.Div() if times else ast.Mult()
            yield Edit("wrong-operator", slot, ast.BinOp(node.left, other, node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of_numpy = ast.unparse(node.func.value) in ("np", "numpy")
            if not of_numpy or node.args:
                yield Edit("extra-call", slot, node.args[0] if of_numpy else node.func.value)
        for axes in ("0", "-1", "(0, 1)"):
            if isinstance(node, (ast.Name, ast.BinOp)):
                yield Edit("missing-broadcast-sum", slot, expression(f"e.sum(axis={axes})", e=node))


FAMILIES: list[Callable[[_Function], Iterator[Edit]]] = [
    _statements,
    _calls,
    _layout,
    _names,
    _copies,
    _coefficients,
    lambda f: _added(f, [name for name in f.arrays if name not in f.used]),
    _conditions,
    _spare,
    lambda f: _multiplied(f, ("n", "1 / n")),
    lambda f: _added(f, f.arrays),
    _pairs,
    _rich_factors,
]
