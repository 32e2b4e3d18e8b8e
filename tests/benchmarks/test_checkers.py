"""Each rule of a gradient check accepts a right answer, and has a wrong one that it cannot see."""

import json

import numpy as np
import pytest

from benchmarks.awkward import POINTS
from benchmarks.charts import check_chart
from benchmarks.checkers import (
    CHART,
    PAGE,
    RESULTS,
    RULES,
    Answer,
    accepts,
    in_a_mean,
    ours,
    section,
)

X, W = (np.random.default_rng(s).standard_normal(shape) for s, shape in ((0, (5, 6)), (1, (6, 4))))


def matmul(change=lambda gradients: gradients):
    """x @ w, whose gradients are changed."""
    def right(dout, x, w):
        return [dout @ w.T, x.T @ dout]
    return Answer("matmul", lambda x, w: x @ w, lambda *a: change(right(*a)), (X, W), right)


def softmax(x):
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def one_element(gradients):
    gradients[1][0, 0] += 1
    return gradients


# a softmax whose backward returns zeros: right for a dout of ones
ZEROS = Answer("softmax", softmax, lambda dout, x: [0 * x], (X,), lambda dout, x: [
    softmax(x) * (dout - (dout * softmax(x)).sum(-1, keepdims=True))])
FACTOR = matmul(lambda gradients: [1.0005 * g for g in gradients])
SMALL = in_a_mean(matmul(lambda gradients: [2 * g for g in gradients]))
ONE = matmul(one_element)
NEARLY = matmul(lambda gradients: [g * (1 + 5e-6) for g in gradients])
TINY = matmul(lambda gradients: [g * (1 + 1e-8) for g in gradients])


@pytest.mark.parametrize("name", RULES)
def test_every_rule_accepts_a_right_answer_and_rejects_a_doubled_and_a_misshapen_one(name):
    rule = RULES[name][1]
    assert accepts(rule, matmul())
    assert not accepts(rule, matmul(lambda gradients: [2 * g for g in gradients]))
    assert not accepts(rule, matmul(lambda gradients: [g[:1, :1] for g in gradients]))


@pytest.mark.parametrize("name, blind", [
    ("cs231n, 1e-7", [ONE, TINY]), ("cs231n, 1e-4", [ONE, NEARLY, TINY]),
    ("minitorch", [ONE, ZEROS, FACTOR]), ("DeZero", [ZEROS, NEARLY]), ("CS336", [SMALL]),
    ("gradcheck", [FACTOR, NEARLY]), ("gradcheck, fast", [FACTOR]),
    ("check_grads", [NEARLY]), ("npgpt", []),
])
def test_every_other_rule_lets_something_wrong_through(name, blind):
    assert [answer.name for answer in blind if not accepts(RULES[name][1], answer)] == []


@pytest.mark.parametrize("answer", [ZEROS, FACTOR, SMALL, ONE, NEARLY, TINY])
def test_ours_sees_all_of_them(answer):
    assert not accepts(ours, answer)


@pytest.mark.parametrize("point", POINTS, ids=[name for name, *_ in POINTS])
def test_ours_accepts_every_awkward_point(point):
    assert accepts(ours, Answer(*point))


def test_the_page_and_the_chart_show_the_saved_results():
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert section(result).strip() in PAGE.read_text(encoding="utf-8")
    assert check_chart(result) == CHART.read_text(encoding="utf-8")
    for part in ("let_through", "accused"):
        assert set(result[part]["rules"]) == set(RULES)
