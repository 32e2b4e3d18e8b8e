import linecache

import numpy as np
import pytest

from npgpt.doctor import check_function
from npgpt.doctor.reading.raised import described


class Layer:
    W = np.ones((3, 4))

    def __init__(self):
        self.b = np.ones(5)

    def add(self, x):
        return x + self.b


def product(x, w):
    y = 2 * x
    return np.abs(y) + (y @
                        w)


def error_of(function, *arguments):
    with pytest.raises(Exception) as caught:
        function(*arguments)
    return described(caught.value)


def test_the_line_the_expression_and_its_shapes_are_shown():
    text = error_of(Layer().add, np.ones((2, 3)))
    line = Layer.add.__code__.co_firstlineno + 1
    assert text.endswith(f"; line {line} of add: `x + self.b`: (2, 3) + (5,)")
    assert text.startswith("ValueError: operands could not be broadcast")


def test_an_expression_on_several_lines_is_shown_on_one():
    text = error_of(product, np.ones(2), np.ones(3))
    assert f"line {product.__code__.co_firstlineno + 2} of product: `y @ w`" in text


def test_an_error_inside_a_library_is_shown_where_it_was_called_from():
    text = error_of(lambda x: np.linalg.cholesky(x), -np.eye(2))
    assert "`np.linalg.cholesky(x)`" in text


def test_code_without_source_and_errors_without_words():
    space = {}
    exec("def f(x): raise KeyError", space)
    report = check_function(space["f"], np.cos, np.ones(3))
    assert report.findings[0].message == "f raised KeyError; line 1 of f"
    assert described(ValueError("no")) == "ValueError: no"


def test_a_statement_that_raises_is_shown_by_its_line():
    def f(x):
        raise ValueError("no")

    assert error_of(f, 1) == f"ValueError: no; line {f.__code__.co_firstlineno + 1} of f"


def test_an_operand_that_is_none_is_shown_as_none():
    def double(x):
        2 * x

    def named(x):
        y = double(x)
        return y @ x

    with pytest.raises(ValueError, match="not have enough dimensions") as caught:
        named(np.ones((2, 3)))
    assert "`y @ x`: None @ (2, 3)" in described(caught.value)


@pytest.mark.parametrize("sign", ["=", "+=", "*="])
def test_what_cannot_be_written_into_a_place_is_shown_with_the_place(sign):
    scope = {}
    source = f"def put(a, b):\n    a[:, 0:2] {sign} b\n"
    code = compile(source, "<put>", "exec")
    linecache.cache["<put>"] = len(source), None, source.splitlines(keepends=True), "<put>"
    exec(code, scope)
    with pytest.raises(ValueError, match="broadcast") as caught:
        scope["put"](np.ones((3, 4)), np.ones((3, 3)))
    told = described(caught.value)
    assert f"line 2 of put: `a[:, 0:2] {sign} b`: (3, 2) {sign} (3, 3)" in told
