import inspect

import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.measure import measure
from npgpt.doctor.repair import Budget, repair
from npgpt.doctor.subject import Subject

from .pairs import (
    attention_forward,
    attention_inputs,
    layernorm_forward,
    layernorm_inputs,
    linear_forward,
    linear_inputs,
    normal,
    softmax_backward,
)


def test_a_missing_transpose_inside_a_matmul_is_repaired_at_its_line():
    def backward(dout, cache):
        q, k, v, weights, softmax_cache = cache
        dv = weights.swapaxes(-1, -2) @ dout
        (dscores,) = softmax_backward(dout @ v.swapaxes(-1, -2), softmax_cache)
        dscores = dscores / np.sqrt(q.shape[-1])
        return dscores @ k, dscores @ q, dv

    report = check(attention_forward, backward, *attention_inputs())
    assert report.kinds == ["transposed"]
    assert "dscores.swapaxes(-1, -2)" in report.findings[0].message
    assert str(backward.__code__.co_firstlineno + 5) in report.findings[0].message


def wrong_variable(dout, cache):
    xhat, rstd, weight = cache
    dxhat = dout * weight
    a = dxhat.mean(axis=-1, keepdims=True)
    b = xhat * (dout * xhat).mean(axis=-1, keepdims=True)
    return rstd * (dxhat - a - b), (dout * xhat).sum((0, 1)), dout.sum((0, 1))


def missing_factor(dout, cache):
    xhat, rstd, weight = cache
    dxhat = dout * weight
    a = dxhat.mean(axis=-1, keepdims=True)
    b = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
    return dxhat - a - b, (dout * xhat).sum((0, 1)), dout.sum((0, 1))


def wrong_axis(dout, cache):
    xhat, rstd, weight = cache
    dxhat = dout * weight
    a = dxhat.mean(axis=0, keepdims=True)
    b = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
    return rstd * (dxhat - a - b), (dout * xhat).sum((0, 1)), dout.sum((0, 1))


def sum_for_mean(dout, cache):
    xhat, rstd, weight = cache
    dxhat = dout * weight
    a = dxhat.mean(axis=-1, keepdims=True)
    b = xhat * (dxhat * xhat).sum(axis=-1, keepdims=True)
    return rstd * (dxhat - a - b), (dout * xhat).sum((0, 1)), dout.sum((0, 1))


def twice(dout, cache):
    xhat, rstd, weight = cache
    dxhat = dout * weight
    a = dxhat.mean(axis=-1, keepdims=True)
    b = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
    return rstd * (dxhat - a - b - b), (dout * xhat).sum((0, 1)), dout.sum((0, 1))


@pytest.mark.parametrize("backward, kind, repaired", [
    (wrong_variable, "wrong-variable", "`dxhat`"),
    (missing_factor, "missing-factor", "rstd"),
    (wrong_axis, "wrong-axis", "axis=-1"),
    (sum_for_mean, "sum-for-mean", ".mean("),
    (twice, "accumulated-twice", "dxhat - a - b"),
])
def test_a_fault_inside_layernorm_is_named_with_its_repair(backward, kind, repaired):
    report = check(layernorm_forward, backward, *layernorm_inputs())
    assert report.kinds == [kind]
    assert repaired in report.findings[0].message
    assert "every gradient" in report.findings[0].evidence


def test_the_search_does_not_touch_the_users_function_or_print(capsys):
    calls = []

    def backward(dout, cache):
        x, weight, _ = cache
        calls.append(1)
        print("hello")
        dweight = x.reshape(-1, x.shape[-1]).T @ (dout * dout).reshape(-1, 5)
        return dout @ weight.T, dweight, dout.sum((0, 1))

    code, source = backward.__code__, inspect.getsource(backward)
    subject = Subject(linear_forward, backward, linear_inputs(), {})
    m = measure(subject, np.random.default_rng(0), [0, 1, 2])
    before = len(calls)
    assert capsys.readouterr().out == before * "hello\n"
    budget = Budget(1000)
    assert repair(m, budget).kind == "extra-factor"
    assert budget.left < 1000 - 100 and len(calls) > before + 100  # it did call changed copies
    assert capsys.readouterr().out == ""
    assert backward.__code__ is code and inspect.getsource(backward) == source


def test_a_search_ends_when_its_budget_is_spent_and_finds_the_same_each_time():
    subject = Subject(layernorm_forward, twice, layernorm_inputs(), {})
    m = measure(subject, np.random.default_rng(0), [0, 1, 2])
    budgets = [Budget(3), Budget(2000), Budget(2000)]
    nothing, *found = (repair(m, budget) for budget in budgets)
    assert nothing is None and budgets[0].left == 0
    assert found[0] == found[1] and budgets[1].left == budgets[2].left > 0


def test_a_function_without_source_is_still_diagnosed_by_its_numbers():
    space = {"np": np}
    exec("def backward(dout, cache):\n    return (-2 * dout * cache,)", space)
    report = check(lambda x: (x * x, x), space["backward"], normal(0, 4))
    assert report.kinds == ["wrong-sign"]
