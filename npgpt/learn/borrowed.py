"""What a learner's code takes from npgpt in place of writing it: it is not graded."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator

PACKAGE = __package__.partition(".")[0]


def borrowed(mine: types.ModuleType, source: str, solution: str) -> list[str]:
    """The names of npgpt that the code uses and the solution does not, each once.

    What only runs the file alone, under `if __name__ == "__main__"`, may use anything.
    """
    try:
        tree, right = _body(source), _body(solution)
    except SyntaxError:
        return []
    given = {name for _, name in _imports(right)} | {"NotBegun"}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)}
    asked = {node.name for node in right.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    found = [name for inside, name in _imports(tree) if inside]
    for name in sorted(used | asked):
        value = vars(mine).get(name)
        if isinstance(value, types.ModuleType):
            if _ours(value.__name__):
                found += [chain for chain in _chains(tree, name)]
        elif _ours(getattr(value, "__module__", None)):
            found.append(getattr(value, "__name__", name))
    return [name for name in dict.fromkeys(found) if name not in given]


def _ours(module: object) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == PACKAGE


def _body(source: str) -> ast.Module:
    """A source without what only runs it alone."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body
                 if not (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))]
    return tree


def _imports(tree: ast.Module) -> Iterator[tuple[bool, str]]:
    """What is imported of npgpt, by its name there, and whether it is inside of a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _ours(node.module):
            yield from ((node not in tree.body, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((True, alias.name) for alias in node.names
                        if _ours(alias.name) and node not in tree.body)


def _chains(tree: ast.Module, module: str) -> Iterator[str]:
    """What is looked up in a module, as its last name: softmax_forward of npgpt.layers.softmax."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner and \
                ast.unparse(node).startswith(f"{module}."):
            yield node.attr
