"""What is wrong in code of every style is found where it stands, with what would be right there."""

import functools
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

from npgpt.doctor import check, check_function
from npgpt.doctor.evidence.measure import measure
from npgpt.doctor.evidence.subject import Subject
from npgpt.doctor.repairs.repair import repairs
from npgpt.doctor.repairs.worlds import Budget

from ..pairs import attention_forward, attention_inputs, layernorm_forward, layernorm_inputs, normal


def test_a_missing_transpose_inside_a_matmul_is_repaired_at_its_line():
    def backward(dout, cache):
        q, k, v, weights, _ = cache
        dv = weights.swapaxes(-1, -2) @ dout
        dw = dout @ v.swapaxes(-1, -2)
        ds = weights * (dw - (dw * weights).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
        return ds @ k, ds @ q, dv

    report = check(attention_forward, backward, *attention_inputs())
    assert report.kinds == ["transposed"]
    assert "swapaxes(-1, -2)" in report.findings[0].message
    assert f"ine {backward.__code__.co_firstlineno + 5} of" in report.findings[0].message


def backward_of(second, mean="mean(axis=-1, keepdims=True)", last="rstd * (dxhat - a - b)"):
    text = f"""def backward(dout, cache):
    xhat, rstd, weight = cache
    dxhat = dout * weight
    a = dxhat.{mean}
    b = xhat * {second}
    return {last}, (dout * xhat).sum((0, 1)), dout.sum((0, 1))
"""
    return text


B = "(dxhat * xhat).mean(axis=-1, keepdims=True)"


@pytest.mark.parametrize("text, repaired", [
    (backward_of(B.replace("dxhat", "dout")), "dxhat"),
    (backward_of(B, last="dxhat - a - b"), "rstd"),
    (backward_of(B, mean="mean(axis=0, keepdims=True)"), "axis=-1"),
    (backward_of(B.replace("mean", "sum")), ".mean("),
    (backward_of(B, last="rstd * (dxhat - a - b - b)"), "dxhat - a - b"),
    (backward_of(B, last="rstd * (dxhat - b)"), "a"),
    (backward_of(B, last="rstd * (dxhat - a + b)"), "- b"),
])
def test_a_fault_inside_layernorm_is_named_with_its_repair(text, repaired, tmp_path):
    report = check(layernorm_forward, made(text, tmp_path), *layernorm_inputs())
    assert len(report.findings) == 1
    message = report.findings[0].message
    assert repaired in message and ("would be right" in message or "path of x" in message)


def made(text, folder):
    """The function `backward` of a file of its own."""
    path = folder / "mine.py"
    path.write_text("import numpy as np\n\n" + text)
    space = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    return space["backward"]


class Layer:
    def forward(self, x, w):
        self.x, self.w = x, w
        self.h = np.tanh(x @ w)
        return self.h

    def backward(self, dout):
        dz = dout * (1 - self.h)
        self.dw = self.x.T @ dz
        return dz @ self.w.T


def loss_and_grads(x, w):
    n = len(x)
    z = x @ w
    loss = (z * z).sum() / n
    dz = 2 * z
    return loss, dz @ w.T, x.T @ dz


def as_lambdas():
    return lambda x, w: x @ w, lambda x, w, dout: (dout @ w.T, dout.T @ x)


def through_layer(x, w, dout):
    layer = Layer()
    layer.forward(x, w)
    return layer.backward(dout), layer.dw


def scaled(scale, x, w, dout):
    return dout @ w.T, x.T @ dout


STYLES = {
    "method": (lambda x, w: Layer().forward(x, w), through_layer, "self.h"),
    "loss": (lambda x, w: loss_and_grads(x, w)[0], lambda x, w: loss_and_grads(x, w)[1:],
             "/ len(x)"),
    "lambda": (*as_lambdas(), "x.T @ dout"),
    "partial": (lambda x, w: 0.7 * x @ w, functools.partial(scaled, 0.7), "scale"),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_read(style):
    f, grad, repaired = STYLES[style]
    report = check_function(f, grad, (normal(0, 3, 4), normal(1, 4, 5)))
    assert not report.ok and repaired in report.findings[0].message, report


def lstm_forward(x, c, weight):
    z = x @ weight
    n = c.shape[1]
    f, i = 1 / (1 + np.exp(-z[:, :n])), 1 / (1 + np.exp(-z[:, n:2 * n]))
    g = np.tanh(z[:, 2 * n:])
    new = f * c + i * g
    return np.tanh(new), (x, c, weight, f, i, g, new)


def lstm_backward(dout, cache):
    x, c, weight, f, i, g, new = cache
    dnew = dout * (1 - np.tanh(new) ** 2)
    df, di, dg = dnew * new, dnew * g, dnew * i
    dz = np.concatenate([df * f * (1 - f), di * i * (1 - i), dg * (1 - g ** 2)], 1)
    return dz @ weight.T, dnew * f, x.T @ dz


def test_another_name_goes_before_a_factor_of_two_names_that_stands_nearer_to_what_is_wrong():
    found, = check(lstm_forward, lstm_backward, normal(0, 3, 4), normal(1, 3, 5),
                   normal(2, 4, 15)).findings
    assert found.kind == "wrong-variable"
    assert "`new` in `dnew * new`; `c` would be right" in found.message


def swiglu_forward(x, weight, gate):
    a, b = x @ weight, x @ gate
    s = 1 / (1 + np.exp(-a))
    return a * s * b, (x, weight, gate, a, b, s)


def swiglu_backward(dout, cache):
    x, weight, gate, a, b, s = cache
    da = dout * b * s
    db = dout * a * s
    return da @ weight.T + db @ gate.T, x.T @ da, x.T @ db


def test_a_silu_without_the_slope_of_its_gate_is_completed_in_backward():
    found, = check(swiglu_forward, swiglu_backward, normal(0, 3, 4), normal(1, 4, 6),
                   normal(2, 4, 6)).findings
    assert found.kind == "missing-term"
    assert "the path of x and weight through `s`" in found.message
    assert "`da = dout * b * s * (1 + a * (1 - s))` would be right" in found.message


def softsign_forward(x, weight):
    a = x @ weight
    s = 1 / (1 + np.abs(a))
    return a * s * np.cosh(s), (x, weight, a, s)


def softsign_backward(dout, cache):
    x, weight, a, s = cache
    da = dout * s * np.cosh(s)
    return da @ weight.T, x.T @ da


def test_a_missing_path_is_not_repaired_in_forward():
    found, = check(softsign_forward, softsign_backward, normal(0, 3, 4),
                   normal(1, 4, 6)).findings
    assert found.kind == "missing-term"
    assert "through `s`" in found.message and "of softsign_forward has" not in found.message


def test_a_report_does_not_follow_the_order_of_hashes():
    code = """if True:
        import sys
        from npgpt.doctor import check
        from tests.doctor.repairs import test_repair as t
        print(check(t.lstm_forward, t.lstm_backward, t.normal(0, 3, 4), t.normal(1, 3, 5),
                    t.normal(2, 4, 15)))
        print(check(t.turn_forward, t.turn_backward, t.normal(0, 5, 6)))
    """
    texts = {subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True, text=True, check=True, timeout=600).stdout for seed in "0123"}
    assert len(texts) == 1


def turn_forward(x):
    angle = np.arange(len(x))[:, None] / 10 ** np.arange(3)
    c, s = np.cos(angle), np.sin(angle)
    out = np.empty_like(x)
    out[:, ::2] = x[:, ::2] * c - x[:, 1::2] * s
    out[:, 1::2] = x[:, ::2] * s + x[:, 1::2] * c
    return out, (c, s)


def turn_backward(dout, cache):
    c, s = cache
    dx = np.empty_like(dout)
    dx[:, ::2] = dout[:, ::2] * c - dout[:, 1::2] * s
    dx[:, 1::2] = dout[:, ::2] * s + dout[:, 1::2] * c
    return (dx,)


def test_a_forgotten_count_is_an_expression_and_no_number():
    report = check_function(*STYLES["loss"][:2], (normal(0, 3, 4), normal(1, 4, 5)))
    assert "3" not in report.findings[0].message.split("`")[3]


def test_two_faults_in_one_function_are_both_repaired():
    def backward(dout, cache):
        x, w = cache
        return dout @ w.T / 2, x.T @ dout * 3

    forward = lambda x, w: (x @ w, (x, w))  # noqa: E731
    report = check(forward, backward, normal(0, 3, 4), normal(1, 4, 5))
    text = " ".join(f.message for f in report.findings)
    assert "`dout @ w.T` would be right" in text and "`x.T @ dout` would be right" in text


def wrong_linear(dout, cache):
    print("hello")
    x, w = cache
    return dout @ w.T, x.T @ (dout * dout)


def measured():
    subject = Subject(lambda x, w: (x @ w, (x, w)), wrong_linear,
                      [normal(0, 3, 4), normal(1, 4, 5)], {})
    return measure(subject, np.random.default_rng(0), [0, 1])


def test_the_search_leaves_the_users_function_as_it_was_and_prints_nothing(capsys):
    code, source, names = wrong_linear.__code__, inspect.getsource(wrong_linear), {*globals()}
    m = measured()
    capsys.readouterr()
    ((change,), _) = repairs(m, [1], Budget(2000))
    assert "`dout` would be right" in change.text and change.inputs == [1]
    assert capsys.readouterr().out == ""
    assert wrong_linear.__code__ is code and inspect.getsource(wrong_linear) == source
    assert {*globals()} == names


def test_a_search_ends_when_its_budget_is_spent_and_finds_the_same_each_time(capsys):
    budgets = [Budget(3), Budget(2000), Budget(2000)]
    nothing, *found = (repairs(measured(), [1], budget) for budget in budgets)
    assert nothing[0] == [] and budgets[0].left < 30
    assert found[0] == found[1] and budgets[1].left == budgets[2].left > 0


def test_a_function_without_source_is_still_diagnosed_by_its_numbers():
    space = {"np": np}
    exec("def backward(dout, cache):\n    return (-2 * dout * cache,)", space)
    report = check(lambda x: (x * x, x), space["backward"], normal(0, 4))
    assert report.kinds == ["wrong-sign"]
