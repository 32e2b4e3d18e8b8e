"""Functions that give a loss and its gradients at once."""

import numpy as np
import pytest

from npgpt.doctor import check_loss, constant

from ..pairs import normal

X, Y = normal(0, 5, 3), np.array([0, 3, 1, 0, 2])


def svm(W, X, y, reg):
    scores = X @ W
    margins = np.maximum(0, scores - scores[np.arange(len(X)), y][:, None] + 1)
    margins[np.arange(len(X)), y] = 0
    d = (margins.real > 0).astype(float)
    d[np.arange(len(X)), y] -= d.sum(1)
    return margins.sum() / len(X) + reg * (W * W).sum(), X.T @ d / len(X) + 2 * reg * W


def network(params):
    h = np.tanh(X @ params["fc"]["W"] + params["fc"]["b"])
    d = 2 * h * (1 - h * h) * params["gains"][0]
    grads = {"fc": {"dW": X.T @ d, "db": d.sum(0)}, "gains": [(h * h).sum()]}
    return (h * h).sum() * params["gains"][0], grads


def test_the_gradient_of_the_first_argument_and_notes_on_the_others():
    report = check_loss(svm, normal(1, 3, 4), X, Y, 0.1)
    assert report.ok, report
    assert [row.argument for row in report.rows] == ["W"]
    assert report.notes == ["f returns no gradient for X: taken for a constant."]
    assert check_loss(svm, normal(1, 3, 4), constant(X), Y, reg=0.1).notes == []


def test_nested_dicts_and_lists_have_a_row_for_each_array():
    params = {"fc": {"W": normal(1, 3, 4), "b": normal(2, 4)}, "gains": [np.ones(())]}
    report = check_loss(network, params)
    assert report.ok, report
    assert [row.argument for row in report.rows] == ["fc.W", "fc.b", "gains[0]"]

    def wrong(params):
        loss, grads = network(params)
        grads["fc"]["db"] = grads["fc"]["db"] * 2
        return loss, grads

    report = check_loss(wrong, params)
    assert [f.argument for f in report.findings] == ["fc.b"]

    def forgets(params):
        loss, grads = network(params)
        del grads["fc"]["db"]
        return loss, grads

    assert check_loss(forgets, params).kinds == ["missing-gradient"]


class Net:
    def __init__(self):
        self.params = {"W": normal(1, 3, 4), "b": normal(2, 4)}

    def loss(self, X, y=None):
        scores = X @ self.params["W"] + self.params["b"]
        return (scores**2).sum() / 2, {"W": X.T @ scores, "b": scores.sum(0)}

    def of_x(self, X):
        scores = X @ self.params["W"] + self.params["b"]
        return (scores**2).sum() / 2, {"X": scores @ self.params["W"].T}


def test_a_method_gives_the_gradients_of_its_objects_params_or_of_its_arguments():
    net = Net()
    report = check_loss(net.loss, X, Y)
    assert report.ok and [row.argument for row in report.rows] == ["W", "b"], report
    report = check_loss(net.of_x, X)
    assert report.ok and [row.argument for row in report.rows] == ["X"], report


def test_a_tuple_or_a_dict_has_one_gradient_for_each_argument():
    def tuples(a, b):
        return (a * b).sum(), (b, a)

    def named(a, b):
        return (a * b).sum(), {"db": a, "da": b}

    for f in (tuples, named):
        report = check_loss(f, X, X + 1)
        assert report.ok and len(report.rows) == 2 and not report.notes, report


@pytest.mark.parametrize("f, kind, says", [
    (lambda x: (x * x).sum(), "contract", "expected two things, the loss and its gradients"),
    (lambda x: (x * x, 2 * x), "contract", "expected one number, the loss"),
    (lambda x: x.nothing, "forward-raises", "AttributeError"),
])
def test_what_does_not_fit_is_one_sentence(f, kind, says):
    report = check_loss(f, X)
    assert report.kinds == [kind]
    assert says in report.findings[0].message


XS, YS, WS, BS = normal(4, 5, 3), normal(5, 5, 2), normal(6, 3, 2), normal(7, 2)


def mse(W, b, X, Y, what):
    g = 2 * (X @ W + b - Y) / len(X)
    dW, db = X.T @ g, g.sum(0)
    if what == "shape":
        db = g.sum()
    if what == "order":
        dW, db = db, dW
    return (g * g).sum() * len(X) / 4, dW, db


@pytest.mark.parametrize("what, kinds, words", [
    ("right", [], ""), ("shape", ["wrong-axis"], "has `db = g.sum()`; `db = g.sum(axis=0)` would"),
    ("order", ["another-input"], "the gradients of (b, W")])
def test_every_gradient_behind_a_loss_is_examined(what, kinds, words):
    report = check_loss(mse, WS, BS, XS, YS, what)
    assert report.kinds == kinds and words in " ".join(str(report).split()), report


def test_a_forgotten_regulariser_is_named_by_its_weight_and_not_by_a_number_that_it_equals():
    def lasso(w, b, X, y, lam):
        err = X @ w + b - y
        loss = (err ** 2).sum() / (2 * len(X)) + lam * np.abs(w).sum()
        return loss, X.T @ err / len(X), err.sum() / len(X)

    # 0.1 is 1 / (2 * 5) too
    report = check_loss(lasso, normal(0, 4), np.array(0.3), normal(1, 5, 4), normal(2, 5), 0.1)
    assert "X.T @ err / len(X) + lam * np.sign(w)` would be right" in " ".join(str(report).split())


@pytest.mark.parametrize("grads", [
    lambda dW, g: (dW,), lambda dW, g: (dW, None), lambda dW, g: ({"W": dW, "bias": g.sum(0)},),
    lambda dW, g: (dW, g)])
def test_a_parameter_beside_one_that_has_a_gradient_is_not_taken_for_constant(grads):
    def loss(W, b, X, Y):
        g = 2 * (X @ W + b - Y)
        return (g * g).sum() / 4, *grads(X.T @ g, g)

    report = check_loss(loss, WS, BS, XS, YS)
    assert "missing-gradient" in report.kinds and "b has shape (2,), but f gives none" in " ".join(
        str(report).split())


def test_weights_that_are_no_parameters_are_constants_where_the_inputs_have_the_gradient():
    def weighted(x, w):
        return (w * x * x).sum(), 2 * w * x

    assert check_loss(weighted, XS, np.abs(XS)).ok
