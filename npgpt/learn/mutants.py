"""The ways in which a backward is broken: each rule edits its syntax tree and knows the true name.

A rule yields (kind, detail, edited function). `ACCEPTED` says which names of the doctor count as
right for a kind; it was written down before the doctor's rules were tuned, and where it holds two
names the two are one fault seen from two sides (a sum taken for a mean *is* a factor only if the
report calls it so).
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

ACCEPTED: dict[str, set[str]] = {
    "accumulated-twice": {"accumulated-twice"},
    "another-input": {"another-input"},
    "axes-swapped": {"axes-swapped", "transposed"},
    "batch-dropped": {"batch-dropped"},
    "factor": {"factor"},
    "float32": {"float32"},
    "in-place": {"in-place"},
    "mask-forgotten": {"mask-forgotten"},
    "mask-inverted": {"mask-inverted"},
    "mask-not-rescaled": {"mask-not-rescaled"},
    "mask-redrawn": {"mask-redrawn"},
    "mean-for-sum": {"mean-for-sum"},
    "missing-broadcast-sum": {"missing-broadcast-sum"},
    "missing-factor": {"missing-factor"},
    "missing-term": {"missing-term"},
    "repeated-ids-overwritten": {"repeated-ids-overwritten"},
    "stale-cache": {"stale-cache"},
    "sum-for-mean": {"sum-for-mean"},
    "term-factor": {"term-factor", "factor"},
    "term-sign": {"term-sign", "wrong-sign"},
    "transposed": {"transposed"},
    "wrong-axis": {"wrong-axis"},
    "wrong-sign": {"wrong-sign"},
    "wrong-variable": {"wrong-variable"},
    "zero-gradient": {"zero-gradient"},
}

Edit = tuple[str, str, ast.FunctionDef]


def edits(function: ast.FunctionDef) -> Iterator[Edit]:
    """All single edits of one function."""
    for index, node in enumerate(ast.walk(function)):
        for kind, detail, new in _expression(node, function):
            yield kind, f"{detail} (node {index})", _replaced(function, index, new)
    yield from _returns(function)
    yield from _statements(function)


def _replaced(function: ast.FunctionDef, index: int, new: ast.AST) -> ast.FunctionDef:
    root = copy.deepcopy(function)
    target = list(ast.walk(root))[index]

    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return copy.deepcopy(new) if node is target else self.generic_visit(node)

    result = Swap().visit(root)
    assert isinstance(result, ast.FunctionDef)
    return result


def _expr(text: str, **parts: ast.expr) -> ast.expr:
    """The expression `text`, with the names in `parts` replaced by expressions."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return copy.deepcopy(parts[node.id]) if node.id in parts else node

    body = Fill().visit(ast.parse(text, mode="eval").body)
    assert isinstance(body, ast.expr)
    return body


def _expression(node: ast.AST, function: ast.FunctionDef) -> Iterator[tuple[str, str, ast.AST]]:
    if isinstance(node, ast.BinOp):
        yield from _binary(node)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transposed", f"drop .T of {ast.unparse(node.value)}", node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield "term-factor", f"{node.value} doubled", ast.Constant(2 * node.value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        values = sorted(_values(function))
        if node.id in values and node not in list(ast.walk(function.body[-1])):
            # one other name for each use, the next in the alphabet: all of them would be half the
            # catalogue
            other = values[(values.index(node.id) + 1) % len(values)]
            if other != node.id:
                yield "wrong-variable", f"{node.id} -> {other}", ast.Name(other, ast.Load())


def _binary(node: ast.BinOp) -> Iterator[tuple[str, str, ast.AST]]:
    text = ast.unparse(node)
    if isinstance(node.op, (ast.Add, ast.Sub)):
        # 1 - t * t is one thing, not two terms; and neither is the number of axes minus one
        counts = isinstance(node.left, ast.Constant) or "ndim" in text
        if not counts:
            yield "missing-term", f"{text}: right term dropped", node.left
            rest = (
                node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)
            )
            yield "missing-term", f"{text}: left term dropped", rest
            twice = ast.BinOp(node, node.op, node.right)
            yield "accumulated-twice", f"{text}: right term added twice", twice
            more = ast.BinOp(node.left, node.op, _expr("3 * e", e=node.right))
            yield "term-factor", f"{text}: right term times 3", more
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "term-sign", f"{text}: sign of right term", ast.BinOp(node.left, other, node.right)
    if isinstance(node.op, ast.Mult):
        for gone, rest in ((node.right, node.left), (node.left, node.right)):
            yield _factor_kind(gone), f"{text}: {ast.unparse(gone)} dropped", rest
            if _is_mask(gone):
                yield from _mask(text, gone, rest)
    if isinstance(node.op, ast.Div):
        yield "factor", f"{text}: division dropped", node.left
    if isinstance(node.op, ast.MatMult):
        for side, part in (("left", node.left), ("right", node.right)):
            new = _expr("e.swapaxes(-1, -2)", e=part)
            both = (new, node.right) if side == "left" else (node.left, new)
            yield "transposed", f"{text}: {side} transposed", ast.BinOp(both[0], node.op, both[1])
        yield "wrong-sign", f"{text}: negated", ast.UnaryOp(ast.USub(), node)
        yield "factor", f"{text}: times sqrt of its last axis", _expr(
            "e * (e).shape[-1] ** 0.5", e=node
        )


def _is_mask(node: ast.AST) -> bool:
    name = node.value if isinstance(node, ast.Subscript) else node
    return isinstance(name, ast.Name) and name.id in ("mask", "counted", "positive")


def _factor_kind(gone: ast.AST) -> str:
    if _is_mask(gone):
        return "mask-forgotten"
    names = {n.id for n in ast.walk(gone) if isinstance(n, ast.Name)}
    if names <= {"scale", "SCALE", "CUBIC"} and not any(
        isinstance(n, ast.Call) for n in ast.walk(gone)
    ):
        return "term-factor"
    return "missing-factor"


def _mask(text: str, mask: ast.expr, rest: ast.expr) -> Iterator[tuple[str, str, ast.AST]]:
    yield "mask-inverted", f"{text}: inverted", _expr("k * (m == 0) * m.max()", k=rest, m=mask)
    yield "mask-not-rescaled", f"{text}: not rescaled", _expr("k * (m != 0)", k=rest, m=mask)
    # the files of some layers do not import numpy by its name
    numpy = "__import__('numpy')"
    drawn = f"k * {numpy}.random.default_rng(5).permutation(m.reshape(-1)).reshape(m.shape)"
    yield "mask-redrawn", f"{text}: redrawn", _expr(drawn, k=rest, m=mask)


def _call(node: ast.Call) -> Iterator[tuple[str, str, ast.AST]]:
    text, name = ast.unparse(node), ast.unparse(node.func)
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean"):
        summed = node.func.attr == "sum"
        new = ast.Call(
            ast.Attribute(node.func.value, "mean" if summed else "sum", ast.Load()),
            node.args,
            node.keywords,
        )
        yield "mean-for-sum" if summed else "sum-for-mean", f"{text}: sum <-> mean", new
        yield from _axes(node, text)
        if summed and not any(k.arg == "keepdims" for k in node.keywords):
            yield "missing-broadcast-sum", f"{text}: no sum", node.func.value
            first = _expr(
                "e[(0,) * len(p)]" if "positions" in text else "e[0]",
                e=node.func.value,
                p=ast.Name("positions", ast.Load()),
            )
            yield "missing-broadcast-sum", f"{text}: first row instead of the sum", first
    if isinstance(node.func, ast.Attribute) and node.func.attr == "swapaxes":
        yield (
            "transposed" if "-2" in text else "axes-swapped"
        ), f"{text}: dropped", node.func.value
    if name == "np.where":
        mask, yes, no = node.args
        yield "mask-forgotten", f"{text}: where dropped", yes if ast.unparse(yes) != "0" else no
        yield "mask-inverted", f"{text}: swapped", ast.Call(node.func, [mask, no, yes], [])
        drawn = _expr(
            "np.random.default_rng(5).permutation(m.reshape(-1)).reshape(m.shape)", m=mask
        )
        yield "mask-redrawn", f"{text}: redrawn", ast.Call(node.func, [drawn, yes, no], [])


def _axes(node: ast.Call, text: str) -> Iterator[tuple[str, str, ast.AST]]:
    for k, keyword in enumerate(node.keywords):
        if keyword.arg == "axis" and ast.unparse(keyword.value) == "-1":
            for axis in (-2, 0):
                keywords = copy.deepcopy(node.keywords)
                keywords[k].value = ast.Constant(axis)
                yield "wrong-axis", f"{text}: axis {axis}", ast.Call(node.func, node.args, keywords)


def _values(function: ast.FunctionDef) -> set[str]:
    """Local names that hold arrays, as far as one can see."""
    names = {
        n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    names |= {a.arg for a in function.args.args}
    return {
        n
        for n in names
        if not any(
            w in n
            for w in ("cache", "shape", "positions", "scale", "has_", "count", "part", "activation")
        )
    }


_WRAPS = [
    ("wrong-sign", "negated", "-(e)"),
    ("factor", "times 7", "7.0 * (e)"),
    ("factor", "times the batch", "(e) * dout.shape[0]"),
    ("factor", "over the root of the last axis", "(e) / dout.shape[-1] ** 0.5"),
    ("zero-gradient", "zeros", "0.0 * (e)"),
    ("float32", "through float32", "(e).astype('f4').astype('f8')"),
    ("transposed", "last two axes transposed", "(e).swapaxes(-1, -2)"),
    ("axes-swapped", "transposed by reshape", "(e).swapaxes(-1, -2).reshape((e).shape)"),
    ("axes-swapped", "first two axes swapped", "(e).swapaxes(0, 1)"),
    ("axes-swapped", "last axis backwards", "(e)[..., ::-1]"),
    (
        "batch-dropped",
        "last of the batch is zero",
        "(e) * (np.arange(len(e)) < len(e) - 1).reshape((-1,) + (1,) * ((e).ndim - 1))",
    ),
]


def _returns(function: ast.FunctionDef) -> Iterator[Edit]:
    last = function.body[-1]
    if not isinstance(last, ast.Return) or last.value is None:
        return
    whole = last.value if isinstance(last.value, ast.Tuple) else None
    parts = list(whole.elts) if whole else [last.value]
    real = [
        i
        for i, p in enumerate(parts)
        if not isinstance(p, ast.Starred) and ast.unparse(p) != "None"
    ]

    def back(new: list[ast.expr]) -> ast.FunctionDef:
        result = copy.deepcopy(function)
        result.body[-1] = ast.Return(ast.Tuple(new, ast.Load()) if whole else new[0])
        return result

    for i in real:
        if whole is None and i == 0 and not function.name.endswith("_backward"):
            continue
        name = ast.unparse(parts[i])
        for kind, detail, text in _WRAPS:
            if kind == "batch-dropped" and name in ("dweight", "dbias", "dslope"):
                continue
            text = text.replace("dout", function.args.args[0].arg)
            yield kind, f"return {name}: {detail}", back(
                parts[:i] + [_expr(text, e=parts[i])] + parts[i + 1 :]
            )
    for i in real:
        for j in real:
            if i < j:
                new = list(parts)
                new[i], new[j] = parts[j], parts[i]
                yield "another-input", f"return {i} and {j} swapped", back(new)
            if i != j:
                new = list(parts)
                new[i] = parts[j]
                yield "another-input", f"return {j} also as {i}", back(new)


def _with_body(function: ast.FunctionDef, body: list[ast.stmt]) -> ast.FunctionDef:
    result = copy.deepcopy(function)
    result.body = copy.deepcopy(body)
    return result


def _statements(function: ast.FunctionDef) -> Iterator[Edit]:
    body = function.body
    for i, statement in enumerate(body):
        text = ast.unparse(statement)
        if text.startswith("np.add.at("):
            assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
            table, rows, value = (ast.unparse(a) for a in statement.value.args)
            for new in (f"{table}[{rows}] = {value}", f"{table}[{rows}] += {value}"):
                yield "repeated-ids-overwritten", f"{text} -> {new}", _with_body(
                    function, body[:i] + ast.parse(new).body + body[i + 1 :]
                )
        if isinstance(statement, ast.AugAssign):
            plus = copy.deepcopy(statement)
            plus.op = ast.Add() if isinstance(statement.op, ast.Sub) else ast.Sub()
            yield "term-sign", f"{text}: sign", _with_body(
                function, body[:i] + [plus] + body[i + 1 :]
            )
            yield "missing-term", f"{text}: dropped", _with_body(function, body[:i] + body[i + 1 :])
    dout = function.args.args[0].arg
    if function.name.endswith("_backward"):
        damage = ast.parse(f"{dout} *= 2.0").body
        yield "in-place", f"{dout} written to", _with_body(function, body[:-1] + damage + body[-1:])
        first = ast.parse("cache = globals().setdefault('_KEPT', cache)").body
        yield "stale-cache", "the first cache is kept for ever", _with_body(
            function, body[:1] + first + body[1:]
        )
        for name in sorted(_values(function) - {dout}):
            if name in ast.unparse(body[1]).split("=")[0] and "cache" in ast.unparse(body[1]):
                hurt = ast.parse(f"{name} *= 1.5").body
                yield "in-place", f"{name} of the cache written to", _with_body(
                    function, body[:-1] + hurt + body[-1:]
                )
