"""Where in the user's code an exception arose: the line, the expression, the shapes in it."""

from __future__ import annotations

import ast
import types
from traceback import walk_tb

from ..evidence.subject import CallError, users_code
from .source import HERE, LIBRARIES, Function, function_of, shortened


def described(error: Exception) -> str:
    """Such as: ValueError: matmul: Input operand 1 has a mismatch; line 7 of linear_backward:
    `dout @ W`: (2, 4) @ (3, 4)."""
    text = f"{type(error).__name__}: {_cut(' '.join(str(error).split()))}".removesuffix(": ")
    found = failure(error)
    if found is not None:
        return f"{text}; {found[2]}"
    places = [f"; line {line} of {frame.f_code.co_name}"
              for frame, line in walk_tb(error.__traceback__)
              if not frame.f_code.co_filename.startswith((HERE, *LIBRARIES))]
    return text + (places[-1] if places else "")


def _cut(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most].rpartition(' ')[0]} ..."


def failure(error: BaseException) -> tuple[Function, ast.expr | ast.stmt, str] | None:
    """Where in the user's code an exception arose: the function, the expression, and a sentence
    such as "line 12 of f: `dout @ W`: (3, 4) @ (5, 4)"; None where its source cannot be read."""
    found = None
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if not frame.f_code.co_filename.startswith((*LIBRARIES, HERE)):
            function = function_of(frame.f_code)
            if function is not None:
                found = function, trace
        trace = trace.tb_next
    if found is None:
        return None
    function, trace = found
    place = list(trace.tb_frame.f_code.co_positions())[trace.tb_lasti // 2]
    nodes = [*ast.walk(function.node)]
    inside = [n for n in nodes if isinstance(n, (ast.expr, ast.AugAssign))
              and (n.lineno, n.end_lineno, n.col_offset, n.end_col_offset) == place]
    # what cannot be written into a place is shown with the place
    node = next((n for n in nodes if isinstance(n, ast.Assign) and inside
                 and inside[0] in n.targets), inside[0] if inside else None)
    if node is None:
        return None
    text = f"line {node.lineno} of {function.name}: `{shortened(node)}`"
    shapes = [_shape(part, trace.tb_frame) for part in _operands(node)]
    if shapes and all(shapes):
        sign = _SIGNS.get(type(getattr(node, "op", None)), ",")
        sign = "=" if isinstance(node, ast.Assign) else (
            f"{sign}=" if isinstance(node, ast.AugAssign) else sign)
        text += f": {f' {sign} '.join(shapes) if sign != ',' else ', '.join(shapes)}"
    return function, node, text


_SIGNS: dict[type, str] = {ast.MatMult: "@", ast.Mult: "*", ast.Add: "+", ast.Sub: "-",
                           ast.Div: "/"}


def _operands(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
        return [ast.parse(ast.unparse(target), mode="eval").body, node.value]
    if isinstance(node, ast.Call):
        own = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) not in (
            "np", "numpy", "math")
        return [*([node.func.value] if own else []), *node.args]  # type: ignore[attr-defined]
    return []


def _shape(node: ast.expr, frame: types.FrameType) -> str:
    """The shape of an operand that is cheap and safe to look up again, else nothing."""
    if any(isinstance(n, (ast.Call, ast.Await, ast.NamedExpr)) for n in ast.walk(node)):
        return ""
    try:
        with users_code():
            value = eval(compile(ast.Expression(node), "<operand>", "eval"), frame.f_globals,
                         dict(frame.f_locals))
    except CallError:
        return ""
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    return str(tuple(shape)) if shape is not None else ""
