"""Read a function's source as a syntax tree, and build it again with a part exchanged."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .subject import users_code


@dataclass
class Slot:
    """A place in a syntax tree that holds a node: `parent.field` or `parent.field[index]`."""

    parent: ast.AST
    field: str
    index: int | None

    def get(self) -> Any:
        """The node in this place."""
        value = getattr(self.parent, self.field)
        return value if self.index is None else value[self.index]

    def put(self, node: Any) -> None:
        """Put a node in this place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass
class Source:
    """Syntax trees of a function and of the functions of its own file that it calls, first the
    function.

    `globals` is the namespace they run in; `lines` gives the first line of each in its file.
    """

    name: str
    functions: dict[str, ast.FunctionDef]
    globals: dict[str, Any]
    lines: dict[str, int]

    def build(self, **extra: Any) -> Callable[..., Any]:
        """Compile the trees as they now are; `extra` names are added to the namespace. CallError
        where they make no function."""
        module = ast.Module(list(self.functions.values()), [])
        with users_code():
            try:
                code = compile(module, "<edited>", "exec")
            except TypeError:  # a new node without a line number
                code = compile(ast.fix_missing_locations(module), "<edited>", "exec")
            space = dict(self.globals, **extra)
            exec(code, space)
        built: Callable[..., Any] = space[self.name]
        return built

    def line(self, function: str, node: ast.AST) -> int:
        """The line of a node in its file."""
        return self.lines[function] + getattr(node, "lineno", 1) - 1


def read(function: Callable[..., Any], helpers: bool = True) -> Source | None:
    """The Source of a plain Python function, or None if there is none to read."""
    if not isinstance(function, types.FunctionType) or function.__name__ == "<lambda>":
        return None
    result = Source(function.__name__, {}, dict(function.__globals__), {})
    try:
        result.globals.update(inspect.getclosurevars(function).nonlocals)
    except ValueError:  # a name of an outer function that has no value yet
        return None
    waiting = [function]
    while waiting and len(result.functions) < 6:
        one = waiting.pop(0)
        tree = _tree(one)
        if tree is None:
            if one is function:
                return None
            continue
        result.functions[one.__name__] = tree
        result.lines[one.__name__] = one.__code__.co_firstlineno
        for node in ast.walk(tree) if helpers else ():
            callee = result.globals.get(node.id) if isinstance(node, ast.Name) else None
            if (
                isinstance(callee, types.FunctionType)
                and callee.__code__.co_filename == function.__code__.co_filename
                and callee.__name__ == getattr(node, "id", "")
                and callee.__name__ not in result.functions
                and callee not in waiting
            ):
                waiting.append(callee)
    return result


def _tree(function: types.FunctionType) -> ast.FunctionDef | None:
    try:
        text = textwrap.dedent(inspect.getsource(function))
        body = ast.parse(text).body
    except (OSError, TypeError, SyntaxError):
        return None
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
        return None
    body[0].decorator_list = []
    return body[0]


def slots(tree: ast.AST) -> Iterator[Slot]:
    """Every place in a tree that holds a node, parents before children."""
    for field, value in ast.iter_fields(tree):
        if isinstance(value, ast.AST):
            yield Slot(tree, field, None)
            yield from slots(value)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield Slot(tree, field, index)
                    yield from slots(item)


def shortened(node: ast.AST) -> str:
    """A node as source, on one line of at most 64 characters."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 64 else text[:61] + "..."


def cuts_a_batch(function: Callable[..., Any]) -> bool:
    """Does its source take a part of an array along the first axis, as in x[:-1] or x[1:]?"""
    source = read(function)
    if source is None:
        return False
    for tree in source.functions.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                part = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts \
                    else node.slice
                if isinstance(part, ast.Slice) and (part.lower or part.upper):
                    return True
    return False
