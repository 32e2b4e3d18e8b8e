"""Functions that give a loss and its gradients at once."""

import numpy as np
import pytest

from npgpt.doctor import check_loss, constant

from .pairs import normal

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
