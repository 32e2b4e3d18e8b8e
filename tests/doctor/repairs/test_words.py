"""The words of NumPy, PyTorch and JAX, for each other."""

import ast
import types

import numpy as np
import pytest

from npgpt.doctor.reading.source import Function
from npgpt.doctor.repairs.edits import fill, tree
from npgpt.doctor.repairs.reach import is_pure
from npgpt.doctor.repairs.words import as_numpy, in_own_words, own_module


def computes():
    """Any function."""


class Tensor:
    """Of PyTorch, as far as its module says."""

    __module__ = "torch"


@pytest.mark.parametrize("value, namespace, module", [
    (1.0, {}, "np"), (1.0, {"num": np}, "num"), (Tensor(), {"np": np}, "np"),
    (Tensor(), {"np": np, "th": types.ModuleType("torch")}, "th"),
])
def test_the_own_module_is_that_of_the_values(value, namespace, module):
    own = types.FunctionType(computes.__code__, namespace)
    function = Function(ast.parse("lambda: f(axis)", mode="eval").body, own.__code__, "", [own],
                        {"x": value})
    assert own_module(function) == module
    new = in_own_words(fill(tree("E * np.exp(A).sum(axis=0)"), E=ast.Name("np", ast.Load())),
                       function)
    axis = "dim" if module == "th" else "axis"
    assert ast.unparse(new) == f"np * {module}.exp(A).sum({axis}=0)"


@pytest.mark.parametrize("text, plain", [
    ("x.exp().sum(dim=0, keepdim=True)", "np.exp(x).sum(axis=0, keepdims=True)"),
    ("x.t() @ x.pow(2)", "x.T @ x ** 2"), ("torch.tanh(x)", "np.tanh(x)"),
    ("np.exp(x)", "np.exp(x)"), ("torch.sigmoid(x)", "torch.sigmoid(x)"),
])
def test_pytorchs_words_are_read_as_numpys(text, plain):
    node = ast.parse(text, mode="eval").body
    assert ast.unparse(as_numpy(node)) == plain and ast.unparse(node) == text
    assert is_pure(node) is ("sigmoid" not in text)
