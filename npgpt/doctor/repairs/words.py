"""The words of the arrays' own module: code of PyTorch and JAX seen as NumPy's, and a change that
is made of NumPy's words in those of the code.
"""

from __future__ import annotations

import ast
import copy
import types
from typing import Any

import numpy as np

from ..reading.source import Function

ARRAYS = ("np", "numpy", "jnp", "jax.numpy", "torch")   # what has a `sqrt` of arrays
OURS = "is_ours"    # of a `np` that stands in a row, not in the user's code
WORDS = {"dim": "axis", "keepdim": "keepdims"}
METHODS = {"exp", "log", "log1p", "expm1", "sqrt", "square", "abs", "sign", "sin", "cos", "tan",
           "sinh", "cosh", "tanh", "floor", "ceil", "t", "pow"}


class _AsNumPy(ast.NodeTransformer):
    """What PyTorch writes in words of its own, for arrays of NumPy."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        for keyword in node.keywords:
            keyword.arg = WORDS.get(keyword.arg or "", keyword.arg)
        if isinstance(node.func, ast.Attribute):
            value, name = node.func.value, node.func.attr
            if isinstance(value, ast.Name) and value.id == "torch" and hasattr(np, name):
                value.id = "np"
            elif name == "t" and not node.args:
                return ast.Attribute(value, "T", ast.Load())
            elif name == "pow" and len(node.args) == 1:
                return ast.BinOp(value, ast.Pow(), node.args[0])
            elif name in METHODS and not node.args:
                return ast.Call(ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load()),
                                [value], node.keywords)
        return node


def as_numpy(node: Any) -> Any:
    """An expression of PyTorch as one of NumPy, as far as both have it."""
    foreign = any(
        isinstance(n, ast.keyword) and n.arg in WORDS or isinstance(n, ast.Attribute) and (
            n.attr in METHODS or isinstance(n.value, ast.Name) and n.value.id == "torch")
        for n in ast.walk(node))
    return _AsNumPy().visit(copy.deepcopy(node)) if foreign else node


def own_module(function: Function) -> str:
    """The code's own name for the module of the arrays that it computes with; "np" where it has
    none."""
    held = {type(value).__module__.split(".")[0] for value in function.values.values()}
    module = "jax.numpy" if held & {"jax", "jaxlib"} else "torch" if "torch" in held else "numpy"
    for name, value in function.globals.items():
        if isinstance(value, types.ModuleType) and value.__name__ == module:
            return name
    return module if module == "jax.numpy" and "jax" in function.globals else "np"


def is_pytorchs(function: Function) -> bool:
    """Does the code compute with tensors of PyTorch?"""
    return getattr(function.globals.get(own_module(function)), "__name__", "") == "torch"


def in_own_words(new: Any, function: Function) -> Any:
    """A change with the words of the code's own module for those of NumPy that the row brought."""
    module = own_module(function)
    keywords = {"axis": "dim", "keepdims": "keepdim"} if is_pytorchs(function) else {}
    used = {k.arg for k in ast.walk(function.node) if isinstance(k, ast.keyword)}

    class Own(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return ast.parse(module, mode="eval").body if hasattr(node, OURS) else node

        def visit_keyword(self, node: ast.keyword) -> object:
            self.generic_visit(node)
            if node.arg in keywords and not used & {*keywords}:
                node.arg = keywords[node.arg]
            return node

    return Own().visit(copy.deepcopy(new)) if module != "np" else new
