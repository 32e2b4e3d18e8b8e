"""Where in the user's code an exception arose: the line, the expression, the shapes in it."""

from __future__ import annotations

import ast
import linecache
import sysconfig
import textwrap
from pathlib import Path
from traceback import walk_tb
from types import FrameType

HERE = str(Path(__file__).parents[1])
LIBRARIES = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")})
MOST = 5    # names whose shapes are shown


def described(error: Exception) -> str:
    """Such as: ValueError: matmul: Input operand 1 has a mismatch; line 7 of linear_backward:
    `dout @ W` with dout (2, 4), W (3, 4)."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")
    place = _place(error)
    return f"{text}; {place}" if place else text


def _place(error: Exception) -> str:
    """The innermost line that is no library's; '' where it has no source."""
    frames = [(frame, line) for frame, line in walk_tb(error.__traceback__)
              if not frame.f_code.co_filename.startswith((HERE, *LIBRARIES))]
    if not frames:
        return ""
    frame, line = frames[-1]
    where = f"line {line} of {frame.f_code.co_name.replace('<lambda>', 'a lambda')}"
    text = _expression(frame, error, line)
    shapes = _shapes(frame, text)
    return where + (f": `{text}`" if text else "") + (f" with {shapes}" if shapes else "")


def _expression(frame: FrameType, error: Exception, line: int) -> str:
    """The source of the very expression, on one line of at most 64 characters."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame is not frame:
        trace = trace.tb_next
    whole = linecache.getline(frame.f_code.co_filename, line)
    if trace is not None:
        positions = list(frame.f_code.co_positions())[trace.tb_lasti // 2]
        first, last, start, end = positions
        if first == last == line and start is not None and end is not None:
            whole = whole.encode()[start:end].decode(errors="replace")
    text = " ".join(whole.split())
    return text if len(text) <= 64 else text[:61] + "..."


def _shapes(frame: FrameType, text: str) -> str:
    """The shapes of the arrays that have a name in an expression."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except SyntaxError:
        return ""
    found = {}
    for node in ast.walk(tree):
        value, name = None, ""
        if isinstance(node, ast.Name):
            name, value = node.id, frame.f_locals.get(node.id, frame.f_globals.get(node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            value = getattr(frame.f_locals.get(node.value.id), "__dict__", {}).get(node.attr)
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            found[name] = shape
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in list(found.items())[:MOST])
