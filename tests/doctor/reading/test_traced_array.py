import ast

import numpy as np
import pytest

from npgpt.doctor.evidence.subject import CallError
from npgpt.doctor.reading.traced_array import Step, Tape


def traced(value, name="x"):
    """An array on a tape of its own."""
    tape = Tape()
    return tape.traced(np.asarray(value), Step(ast.Name(name), name=name)), tape


@pytest.mark.parametrize("compute, kind", [
    (lambda x: x + 1, ast.BinOp), (lambda x: -x, ast.UnaryOp), (lambda x: x > 0, ast.Compare),
    (lambda x: np.exp(x), ast.Call), (lambda x: x.sum(axis=0), ast.Call),
    (lambda x: x.T, ast.Attribute), (lambda x: x[1:], ast.Subscript),
    (lambda x: np.where(x > 0, x, 0), ast.Call), (lambda x: np.einsum("ij->ji", x), ast.Call),
])
def test_a_value_is_what_numpy_gives_and_has_its_step(compute, kind):
    x, tape = traced([[1.0, -2.0], [3.0, 4.0]])
    value = compute(x)
    assert np.array_equal(np.asarray(value), compute(np.asarray(x)))
    assert type(tape.steps[-1].node) is kind


def test_changes_in_place_are_statements():
    x, tape = traced(np.zeros((3, 2)))
    x[np.array([0, 0])] += 1
    np.add.at(x, np.array([2, 2]), 1.0)
    x -= 1
    kinds = [type(step.statement) for step in tape.steps if step.statement]
    assert kinds == [ast.AugAssign, ast.Expr, ast.AugAssign]
    assert np.asarray(x).tolist() == [[0, 0], [-1, -1], [1, 1]]


def test_an_endless_call_is_given_up():
    x, _ = traced(1.0)
    with pytest.raises(CallError, match="steps"):
        for _ in range(1000):
            x = x + 1
