import subprocess
import sys

import numpy as np
import pytest

from npgpt.doctor import check_function, check_scalar
from npgpt.gradcheck.pair import ContractError

from ..pairs import normal

X = normal(0, 3, 4)


def kinds(f, grad, x=X):
    return check_function(f, grad, x).kinds


def test_a_number_and_an_array_may_be_what_f_gives():
    assert kinds(lambda x: (x * x).sum(), lambda x: 2 * x) == []
    assert kinds(lambda x: (x * x).sum(), lambda x, dout: 2 * x * dout) == []
    assert kinds(lambda x: x * x, lambda x, dout: 2 * x * dout) == []
    assert kinds(lambda a, b: (a * b).sum(), lambda a, b: [b, a], (X, X + 1)) == []
    assert kinds(lambda x: (x * x).sum(keepdims=True), lambda x: 2 * x) == []
    assert kinds(lambda x: (x * x).sum(), lambda x: {"dx": 2 * x}) == []


@pytest.mark.parametrize("f, grad, x, kind, says", [
    (lambda x: [x[0], x], lambda x: x, X, "contract", "f returns several arrays, so grad"),
    (lambda x: {"loss": 1}, lambda x: x, X, "contract", "f returns several arrays, so grad"),
    (lambda x: {"loss": "1"}, lambda x: x, X, "contract", "f returned a value of type str as"),
    (lambda x: None, lambda x: x, X, "contract", "f returned None"),
    (lambda x: (x * x).sum(), lambda x: {"y": 2 * x[0]}, X, "not-an-array", "a dict of 1"),
    (lambda x: x * x, lambda x: 2 * x, X, "contract", "grad must take a dout"),
    (lambda x: (x * x).sum(), lambda x: 2 * x, np.arange(3), "undecided", "astype(float)"),
    (lambda x: x.nothing, lambda x: 2 * x, X, "forward-raises", "f raised AttributeError"),
    (lambda x: x.sum(), lambda x: x.nothing, X, "backward-raises", "grad raised AttributeError"),
])
def test_what_does_not_fit_is_one_plain_sentence(f, grad, x, kind, says):
    report = check_function(f, grad, x)
    assert report.kinds == [kind]
    assert says in report.findings[0].message


def softmax(x):
    exps = np.exp(x - x.real.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def softmax_grad(x, dout):
    out = softmax(x)
    return out * (dout - (dout * out).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("seed", range(8))
def test_right_functions_in_float32_are_right_and_their_advice_is_told(seed):
    x = normal(seed, 3, 4)
    f32 = np.float32
    pairs = [
        (lambda x: softmax(x.astype(f32)), lambda x, d: softmax_grad(x.astype(f32), d.astype(f32))),
        (lambda x: float(np.mean(x.astype(f32) ** 2)), lambda x: 2 * x.astype(f32) / f32(x.size)),
        (lambda x: np.maximum(x.astype(f32), 0), lambda x, d: (d * (x > 0)).astype(f32)),
        (lambda x: float(np.sum(np.sin(x.astype(f32)))), np.cos),
    ]
    for f, grad in pairs:
        for inputs in (x, np.where(x < 0, 0, x), np.tile(x, (20, 10))):
            report = check_function(f, grad, inputs)
            assert report.ok, str(report)
            assert any("computes in float32" in note for note in report.notes)


@pytest.mark.parametrize("grad, kind", [
    (lambda x: -2 * x, "wrong-sign"), (lambda x: 4 * x, "factor"),
    (lambda x: 0 * x, "zero-gradient"), (lambda x: 2 * x.T, "transposed"),
])
def test_a_wrong_gradient_of_a_function_in_float32_is_named(grad, kind):
    report = check_function(
        lambda x: float(np.sum(x.astype(np.float32) ** 2)), grad, normal(0, 4, 4))
    assert report.kinds == [kind], str(report)


def test_one_percent_in_one_element_shows_in_float32():
    def grad(x):
        wrong = 2 * x
        wrong[1, 1] *= 1.01
        return wrong

    report = check_function(lambda x: float(np.sum(x.astype(np.float32) ** 2)), grad, X)
    assert not report.ok and report.findings[0].index == (1, 1)


def test_empty_and_one_row_inputs_are_tried_where_f_takes_them():
    def grad(x, dout):
        return dout * 2 * x * (1 if len(x) > 1 else 3)

    assert kinds(lambda x: x * x, grad) == ["size-1"]

    def on_rows(x, dout):
        return np.array([2 * d * row for d, row in zip(dout, x)])

    assert kinds(lambda x: x * x, on_rows) == ["size-0"]


def test_constants_of_a_function_do_not_shrink_with_its_input():
    target, scale = normal(1, 3, 4), np.arange(1.0, 5.0)
    assert kinds(lambda x: ((x - target) ** 2).sum(), lambda x: 2 * (x - target)) == []
    assert kinds(lambda x: (x * scale).sum(), lambda x: np.ones((3, 4)) * scale) == []
    assert kinds(
        lambda x: (x * np.arange(1.0, 5.0)).sum(), lambda x: np.ones_like(x) * np.arange(1.0, 5.0)
    ) == []


def test_the_module_needs_no_framework():
    code = "import npgpt.doctor, sys; print('torch' in sys.modules or 'jax' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


class Tensor:
    """As much of a PyTorch tensor as a NumPy array must be got from."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def cpu(self):
        return self

    def resolve_conj(self):
        return self

    def numpy(self):
        return self.values


def test_tensors_on_a_graph_may_be_returned():
    assert kinds(lambda x: Tensor((x * x).sum()), lambda x: Tensor(2 * x)) == []


def params():
    return {"a": normal(0, 3, 3), "b": normal(1, 40, 40), "c": normal(2, 4)}


def loss(p):
    return (p["a"] ** 3).sum() + np.sin(p["b"]).sum() + (p["c"] ** 2).sum()


def grads(p):
    return {"a": 3 * p["a"] ** 2, "b": np.cos(p["b"]), "c": 2 * p["c"]}


def test_every_tensor_gets_a_row():
    report = check_scalar(loss, params(), grads(params()))
    assert report.ok, str(report)
    assert [(r.argument, r.sampled) for r in report.rows] == [
        ("a", False), ("b", True), ("c", False)]


def test_a_loss_that_returns_a_plain_float_works_too():
    report = check_scalar(
        lambda p: float(loss({k: np.asarray(v, float) for k, v in p.items()})), params(),
        grads(params()))
    assert report.ok, str(report)
    assert {r.method for r in report.rows} == {"Richardson"}


def test_faults_are_named_by_tensor():
    p = params()
    wrong = grads(p)
    wrong["a"] = wrong["a"].T
    wrong["b"] = -wrong["b"]
    wrong["c"] = wrong["c"] * 0.5
    report = check_scalar(loss, p, wrong)
    assert {f.argument: f.kind for f in report.findings} == {
        "a": "transposed", "b": "wrong-sign", "c": "factor"}


def test_missing_and_foreign_gradients_are_told():
    p = params()
    wrong = grads(p)
    del wrong["c"]
    wrong["d"] = np.ones(3)
    report = check_scalar(loss, p, wrong)
    assert {f.argument: f.kind for f in report.findings} == {
        "c": "missing-gradient", "d": "unexpected-gradient"}


def test_a_misspelt_name_is_told_with_the_names_that_are_there():
    found = check_scalar(lambda p: (p["w"] ** 2).sum(), {"w": np.ones(2)}, {"W": 2 * np.ones(2)})
    assert "grads has none under w, dw, d_w, grad_w, w_grad; it has W" in found.findings[0].message


def test_a_forgotten_gradient_function_is_told():
    with pytest.raises(ContractError, match="expected two functions, f and grad"):
        check_function(np.sum, np.ones(3))


def test_names_that_are_no_text_are_names_too():
    key = ("fc", 0)
    assert check_scalar(lambda p: (p[key] ** 2).sum(), {key: np.ones(2)}, {key: 2 * np.ones(2)}).ok
