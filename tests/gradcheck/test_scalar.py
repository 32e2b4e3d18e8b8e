import numpy as np

from npgpt.gradcheck import check_scalar

from .pairs import normal


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
