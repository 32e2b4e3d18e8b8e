"""Calls that people make of right gradients, and of wrong ones, in styles of their own."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from npgpt.doctor import check, check_function, check_loss, check_scalar, constant

from ..pairs import normal

X, T = normal(0, 2, 3), normal(1, 2, 3)


def mse_forward(pred, target):
    return ((pred - target) ** 2).mean(), (pred, target)


def mse_backward(dout, cache):
    pred, target = cache
    return dout * 2 * (pred - target) / pred.size, None


class Square:
    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, dout):
        self.dx = 2 * dout * self.x
        return self.dx


def kept_in_an_object(x):
    layer = Square()
    return layer.forward(x), layer


def kept_in_a_dict(x):
    return x**2, {"x": x}


def into_the_dict(dout, cache):
    cache["dx"] = 2 * dout * cache["x"]
    return cache["dx"]


def positive(x):
    assert (x > 0).all()
    return np.sqrt(x).sum()


def chol(v):
    return 2 * np.log(np.diag(np.linalg.cholesky(np.outer(v, v) + np.diag(v)))).sum()


def chol_grad(v):
    inverse = np.linalg.inv(np.outer(v, v) + np.diag(v))
    return 2 * inverse @ v + np.diag(inverse)


def rows_backward(dout, cache):
    table, ids, t = cache
    dtable = np.zeros(table.shape)
    np.add.at(dtable, ids, dout * (table[ids] - t))
    return dtable


RIGHT = {
    "a constant input": lambda: check(mse_forward, mse_backward, X, constant(T)),
    "an object for a cache": lambda: check(
        kept_in_an_object, lambda dout, layer: layer.backward(dout), X),
    "a dict for a cache": lambda: check(kept_in_a_dict, into_the_dict, X),
    "methods of one object": lambda layer=Square(): check_function(
        layer.forward, lambda x, dout: layer.backward(dout), X),
    "a list": lambda: check_function(lambda x: (x * x).sum(), lambda x: list(2 * x), X[0]),
    "squares that nearly overflow": lambda: check_function(
        lambda x: (x * x).sum(), lambda x: 2 * x, 1e150 * X),
    "sines of large numbers": lambda: check_function(
        np.sin, lambda x, dout: dout * np.cos(x), np.array([1e6, -2e6])),
    "a logarithm of numbers": lambda: check_function(
        lambda x: sum(math.log(v) for v in x), lambda x: 1 / x, np.array([1e-3, 0.02, 1.0])),
    "an assertion": lambda: check_function(
        positive, lambda x: 0.5 / np.sqrt(x), np.array([1e-3, 0.02, 1.0])),
    "a decomposition that rejects": lambda: check_function(
        chol, chol_grad, np.array([1e-3, 0.4, 2.0])),
    "a dict of outputs": lambda: check(
        lambda x: ({"a": x * x, "b": x.sum()}, x), lambda d, x: 2 * d["a"] * x + d["b"], X),
    "two outputs of unequal shapes": lambda: check(
        lambda x: ((x * x, x.sum(0)), x), lambda d, x: 2 * d[0] * x + d[1], X),
    "an LSTM's two outputs": lambda: check(
        lambda h, c: ((h * c, c + h), (h, c)),
        lambda d, k: (d[0] * k[1] + d[1], d[0] * k[0] + d[1]), X, T),
    "three results": lambda: check(
        lambda h, c: (h * c, c + h, (h, c)),
        lambda dh, dc, k: (dh * k[1] + dc, dh * k[0] + dc), X, T),
    "nested parameters": lambda: check_scalar(
        lambda p: (p["a"]["w"] ** 2).sum(), {"a": {"w": X}}, lambda p: {"a": {"w": 2 * X}}),
    "a keyword that has a gradient": lambda: check(
        lambda x, *, w: (x * w, (x, w)), lambda d, k: (d * k[1], (d * k[0]).sum(0)), X, w=T[0]),
    "a keyword that has none": lambda: check(
        lambda x, *, w: (x * w, w), lambda d, w: d * w, X, w=T[0]),
    "a dict among the arrays": lambda: check(
        lambda x, param: (x * param["s"], param), lambda d, p: (d * p["s"], None), X, {"s": 2}),
    "a dict of gradients": lambda: check(
        lambda x, w: (x * w, (x, w)),
        lambda d, k: {"x": d * k[1], "dw": (d * k[0]).sum(0)}, X, T[0]),
    "ids and constants that backward leaves out": lambda: check(
        lambda table, ids, t: ((table[ids] - t) ** 2 / 2, (table, ids, t)), rows_backward,
        X, np.array([1, 0, 1]), constant(np.ones(3))),
    "numbers by place": lambda: check(
        lambda x, n, eps: (x**n + eps, (x, n)), lambda d, k: d * k[1] * k[0] ** (k[1] - 1),
        X, 3, 1e-5),
    "a number with a gradient": lambda: check(
        lambda x, slope: (x * slope, (x, slope)), lambda d, k: (d * k[1], (d * k[0]).sum()),
        X, 0.5),
    "no cache": lambda: check(
        lambda x, w: x * w, lambda dout, x, w: (dout * w, (dout * x).sum(0)), X, T[0]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_are_right(name):
    report = RIGHT[name]()
    assert report.ok, report


def test_a_float_input_without_a_gradient_is_shown_how_to_be_a_constant():
    report = check(mse_forward, mse_backward, X, T)
    assert report.kinds == ["missing-gradient"]
    assert "constant(target)" in report.findings[0].message


def test_a_changed_entry_of_a_cache_that_backward_reads_is_a_fault():
    def backward(dout, cache):
        cache["x"] = 2 * dout * cache["x"]
        return cache["x"]

    assert "in-place" in check(kept_in_a_dict, backward, X).kinds


def test_a_gradient_that_belongs_to_another_output_is_wrong():
    report = check(lambda x: ((x * x, x.sum(0)), x), lambda d, x: 2 * d[0] * x, X)
    assert not report.ok
    report = check(lambda x: ({"a": x * x, "b": x}, x), lambda d, x: 2 * d["a"] * x + 2 * d["b"], X)
    assert not report.ok


@pytest.mark.parametrize("dout_of", [
    lambda: check_scalar(lambda p: (p["w"] ** 2).sum(), {"w": np.array([1.0, 2.0])},
                         {"w": np.array([3.0, 6.0])}),
    lambda: check_function(lambda w: (w**2).sum(), lambda w: 3 * w, np.array([1.0, 2.0])),
    lambda: check_loss(lambda w: ((w**2).sum(), 3 * w), np.array([1.0, 2.0])),
    lambda: check(lambda w: ((w**2).sum(), w), lambda dout, w: dout * 3 * w, np.array([1.0, 2.0])),
])
def test_the_numbers_of_a_loss_are_the_users_own(dout_of):
    (finding,) = dout_of().findings
    assert (finding.index, finding.analytic) == ((1,), 6.0)
    assert finding.numeric == pytest.approx(4.0, rel=1e-12)


def test_a_loss_that_is_an_array_is_not_a_loss():
    report = check_scalar(lambda p: p["w"] ** 2, {"w": X}, {"w": 2 * X})
    assert report.kinds == ["contract"] and "one number" in report.findings[0].message


@dataclass
class Strange:
    x: object


@pytest.mark.parametrize("out", [None, "text", Strange(1), [1, "a"], {"a": None}])
def test_an_output_that_is_no_numbers_is_one_sentence(out):
    report = check(lambda x: (out, x), lambda d, x: d, X)
    assert report.kinds == ["contract"], report
