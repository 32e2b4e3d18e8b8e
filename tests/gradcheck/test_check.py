"""check, check_function, check_scalar: right gradients at awkward points, and wrong ones there."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.gradcheck import (
    ContractError,
    Report,
    Row,
    check,
    check_function,
    check_scalar,
    constant,
)
from npgpt.layers.softmax import softmax_backward, softmax_forward

RNG = np.random.default_rng(0)
INF = np.inf


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def pair(f, derivative):
    """An elementwise function and its derivative, as a pair."""
    return lambda x: (f(x), x), lambda dout, x: dout * derivative(x)


def norm_of_a_row(x):
    c = x - x.mean(-1, keepdims=True)
    return (c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)).sum()


@pytest.mark.parametrize("seed", range(8))
def test_a_gradient_of_exactly_zero_is_right_up_to_rounding_and_no_further(seed):
    x = normal(seed, 3, 8)
    assert check_function(norm_of_a_row, np.zeros_like, x).ok
    assert check_function(norm_of_a_row, lambda x: np.full(x.shape, 1e-17), x).ok
    for wrong in (1.0, 1e-3, 1e-9):
        assert not check_function(norm_of_a_row, lambda x, w=wrong: np.full(x.shape, w), x).ok


def test_at_an_optimum():
    a, one = normal(0, 4, 6), np.ones(6)

    def loss(w):
        return ((a @ w - a @ one) ** 2).mean()

    assert check_function(loss, lambda w: a.T @ (a @ w - a @ one) / 2, one).ok
    assert not check_function(loss, lambda w: a.T @ (a @ w - a @ one) / 2 + 1e-9, one).ok


def entropy(x):
    p = np.exp(x - x.real.max())
    p = (p / p.sum())[np.isfinite(x)]
    return -(p * np.log(p)).sum()


def entropy_gradient(x):
    p = np.exp(x - x.max())
    p /= p.sum()
    log = np.log(np.where(p > 0, p, 1.0))
    return -p * (log - (p * log).sum())


def test_masked_scores_stay_where_they_are():
    assert check(softmax_forward, softmax_backward, np.array([[0.0, 1.0, -INF]])).ok
    x = np.array([0.0, 0.3, -INF])
    assert np.allclose(entropy_gradient(x), [0.07334, -0.07334, 0.0], atol=1e-5)
    assert check_function(entropy, entropy_gradient, x).ok
    assert not check_function(entropy, lambda x: 1.001 * entropy_gradient(x), x).ok
    assert not check_function(entropy, lambda x: np.full(3, np.nan), x).ok
    report = check_function(lambda x: np.exp(x).sum(), np.exp, np.full(3, -INF))
    assert [row.verdict for row in report.rows] == ["undecided"]


@pytest.mark.parametrize("f, derivative, x", [
    (np.log, lambda x: 1 / x, [1e-7, 0.2, 0.5]),
    (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), [1 - 1e-7, 0.3]),
    (np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-7, 0.3]),
    (lambda x: 1 / x, lambda x: -1 / x**2, [1e-7, 0.3]),
    (np.sin, np.cos, [1e6, 1.0, -3e5]),
    (np.square, lambda x: 2 * x, [1e150, -1e150]),
    (lambda x: 1e-20 * x * x, lambda x: 2e-20 * x, [1.0, -0.5]),
    (np.tanh, lambda x: 1 / np.cosh(x) ** 2, [18.0, -19.0, 0.1]),
])
def test_steep_tiny_and_huge_and_near_the_edge_of_the_domain(f, derivative, x):
    x = np.array(x)
    assert check(*pair(f, derivative), x).ok
    assert not check(*pair(f, lambda x: 1.001 * derivative(x)), x).ok


def test_a_guard_in_the_derivative_of_log_is_seen():
    assert not check(*pair(np.log, lambda x: 1 / (x + 1e-8)), np.array([1e-7, 0.2])).ok


KINKED = np.array([0.0, 1.0, -1.0, 0.3, 0.0, 1e-6])


@pytest.mark.parametrize("f, derivative, ok", [
    (lambda x: np.maximum(x, 0), lambda x: x > 0, True),
    (lambda x: np.maximum(x, 0), lambda x: x >= 0, True),
    (lambda x: np.maximum(x, 0), lambda x: np.where(x == 0, 0.5, x > 0), True),
    (lambda x: np.maximum(x, 0), lambda x: x > -2, False),
    (lambda x: np.maximum(x, 0), lambda x: np.where(x == 0, 1.1, x > 0), False),
    (np.abs, np.sign, True),
    (np.abs, lambda x: np.where(x == 0, np.nan, np.sign(x)), False),
    (np.abs, lambda x: -np.sign(x), False),
])
def test_on_a_kink_either_slope_is_right_and_nan_is_not(f, derivative, ok):
    assert check(*pair(f, derivative), KINKED).ok is ok


def test_what_backward_gives_at_the_very_point_is_looked_at():
    def length(x):
        return np.sqrt((x * x).sum())

    with np.errstate(all="ignore"):
        report = check_function(length, lambda x: x / length(x), np.zeros(3))
    assert not report.ok and report.rows[0].why == "backward gave NaN at [0]"
    assert check_function(length, np.zeros_like, np.zeros(3)).ok


def test_inputs_that_forward_rejects_are_not_needed():
    def log(x):
        return np.array([math.log(v.real) for v in x]), x

    def positive(x):
        assert (x.real > 0).all()
        return np.log(x), x

    for forward in (log, positive):
        assert check(forward, lambda dout, x: dout / x, np.array([0.02, 0.3])).ok
        assert not check(forward, lambda dout, x: 1.01 * dout / x, np.array([0.02, 0.3])).ok


def cross_entropy(x, y):
    e = np.exp(x - x.real.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    t = np.eye(10)[y]
    return -(t * np.log(p)).sum() / len(y), (p, t)


def test_cross_entropy_with_one_hot_targets():
    def backward(dout, cache):
        p, t = cache
        return dout * (p - t) / len(p), None

    assert check(cross_entropy, backward, normal(0, 4, 10), RNG.integers(0, 10, 4)).ok


def test_an_input_without_a_gradient_can_be_named():
    def mse(pred, target):
        return ((pred - target) ** 2).mean(), (pred, target)

    def backward(dout, cache):
        pred, target = cache
        return 2 * dout * (pred - target) / pred.size, None

    pred, target = normal(0, 5), normal(1, 5)
    assert check(mse, backward, pred, constant(target)).ok
    report = check(mse, backward, pred, target)
    assert "pass constant(target)" in str(report)


def test_a_layer_object_may_be_the_cache():
    class Square:
        def forward(self, x):
            self.x = x
            return x**2

        def backward(self, dout):
            self.dx = 2 * dout * self.x
            return self.dx

    def forward(x):
        layer = Square()
        return layer.forward(x), layer

    assert check(forward, lambda dout, layer: layer.backward(dout), normal(0, 2, 3)).ok


def linear(x, weight):
    return x @ weight, (x, weight)


def linear_backward(dout, cache):
    x, weight = cache
    return dout @ weight.T, x.T @ dout


def test_one_wrong_element_of_a_large_tensor_shows():
    def wrong(dout, cache):
        dx, dweight = linear_backward(dout, cache)
        dweight[3, 4] *= 1 + 1e-6
        return dx, dweight

    inputs = normal(0, 6, 40), normal(1, 40, 30)
    assert check(linear, linear_backward, *inputs).ok
    report = check(linear, wrong, *inputs)
    assert [row.verdict for row in report.rows] == ["right", "wrong"]
    assert "8 random directions" in report.rows[1].why


def test_a_backward_that_is_not_linear_in_dout_is_wrong():
    assert not check(lambda x: (x * x, x), lambda dout, x: 2 * np.abs(dout) * x, normal(0, 4)).ok


def test_float32_is_checked_as_far_as_its_digits_go():
    def f(x):
        return np.tanh(x.astype(np.float32))

    def slope(x):
        return 1 - np.tanh(x) ** 2

    report = check(*pair(f, slope), normal(0, 5))
    assert report.ok and "float32" in report.rows[0].why
    assert not check(*pair(f, lambda x: 0.999 * slope(x)), normal(0, 5)).ok
    hidden = pair(lambda x: 1.1 * f(x).astype(float), lambda x: 1.1 * slope(x))
    assert check(*hidden, normal(0, 5)).rows[0].verdict != "wrong"


@pytest.mark.parametrize("x", [[[0.0, 40.0, -3.0], [1, 2, 3]], [[0.0, 800.0, -3.0]]])
def test_a_saturated_softmax(x):
    assert check(softmax_forward, softmax_backward, np.array(x)).ok


def test_a_sum_loss_of_softmax_has_a_gradient_of_zero():
    assert check_function(
        lambda x: softmax_forward(x)[0].sum(), np.zeros_like, normal(0, 2, 4)).ok


@pytest.mark.parametrize("returned, says", [
    (lambda d, x: (d,), "expected one for each input"),
    (lambda d, x: (d, d[0]), "expected shape (2, 3)"),
    (lambda d, x: (d, None), "backward gave None"),
    (lambda d, x: (d, "no"), "expected shape (2, 3)"),
])
def test_what_is_no_gradient_is_said(returned, says):
    report = check(lambda x, y: (x + y, x), returned, normal(0, 2, 3), normal(1, 2, 3))
    assert not report.ok and says in str(report)


def test_a_complex_output_is_rejected():
    with pytest.raises(ContractError, match="expected real numbers"):
        check(lambda x: (1j * x, None), lambda dout, cache: 0 * dout, np.ones(2))


def test_functions_of_several_arrays_and_lists_as_gradients():
    assert check_function(lambda x, y: (x * y).sum(), lambda x, y: (y, x), normal(0, 3),
                          normal(1, 3)).ok
    assert check_function(lambda x: (x * x).sum(), lambda x: list(2 * x), normal(0, 3)).ok
    assert check_function(np.sin, lambda x, dout: dout * np.cos(x), normal(0, 3)).ok
    with pytest.raises(TypeError):      # an array as output: grad(x, dout)
        check_function(np.sin, lambda x: np.cos(x), normal(0, 3))


def test_the_loss_of_a_model_by_name_nested_too():
    params = {"w": np.array([1.0, 2.0]), "head": {"b": np.ones(2)}}

    def loss(p):
        return (p["w"] ** 2).sum() + p["head"]["b"].sum() ** 3

    right = {"w": 2 * params["w"], "head": {"b": np.full(2, 12.0)}}
    report = check_scalar(loss, params, right)
    assert report.ok and [row.argument for row in report.rows] == ["w", "head.b"]
    assert check_scalar(loss, params, lambda p: right).ok
    assert not check_scalar(loss, params, {**right, "w": 3 * params["w"]}).ok
    assert not check_scalar(loss, params, {"w": right["w"]}).ok
    with pytest.raises(ContractError, match="expected a number"):
        check_scalar(lambda p: p["w"], params, right)


def test_nothing_is_proven_by_nothing():
    report = check(lambda ids: (ids + 0.5, None), lambda dout, cache: None, np.arange(3))
    assert not report.ok and "nothing to check" in str(report)


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6), st.floats(-2, 2))
def test_no_right_layer_is_accused(rows, columns, seed, power):
    x = 10**power * normal(seed, rows, columns)
    assert check(softmax_forward, softmax_backward, x).ok


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(1e-6, 10))
def test_any_change_of_a_gradient_is_found(seed, size):
    def wrong(dout, cache):
        dx, dweight = linear_backward(dout, cache)
        dx.reshape(-1)[seed % dx.size] *= 1 + size
        return dx, dweight

    assert not check(linear, wrong, normal(seed, 2, 3), normal(seed + 1, 3, 4)).ok


@pytest.mark.parametrize("verdicts, ok, title", [
    (["right", "right"], True, "right"),
    (["right", "wrong"], False, "wrong"),
    (["undecided", "right"], False, "undecided"),
    (["undecided", "wrong"], False, "wrong"),
    ([], False, "nothing to check"),
])
def test_the_worst_row_is_the_verdict_and_a_row_has_its_reason(verdicts, ok, title):
    rows = tuple(Row("x", (2, 3), 0.25, 1e-10, "complex step", "a reason", v) for v in verdicts)
    report = Report("gelu", rows)
    assert report.ok is ok
    assert str(report).splitlines()[0] == f"gelu: {title}"
    for verdict in verdicts:
        line = f"  x (2, 3): {verdict}, error 2.5e-01, allowed 1.0e-10"
        assert f"{line}\n    complex step: a reason" in str(report)
    assert max(map(len, str(report).splitlines())) <= 80


def test_calls_get_copies_so_that_one_that_writes_or_draws_spoils_no_other():
    def forward(x, rng):
        x *= rng.random(3)
        return x, x.copy()

    def backward(dout, cache):
        dout *= np.random.default_rng(5).random(3)
        return dout

    assert check(forward, backward, np.ones(3), rng=np.random.default_rng(5)).ok


@pytest.mark.parametrize("result, words", [
    (np.ones(2), "forward returned an array of shape"),
    ((1, 2, 3), "forward returned a tuple of 3"),
    (None, "forward returned None"), (({"a": 1}, None), "out is"),
    (((np.ones(2), np.ones(3)), None), "got a tuple of 2 of several shapes")])
def test_a_forward_of_another_form_is_answered_in_one_line(result, words):
    with pytest.raises(ContractError) as caught:
        check(lambda x: result, lambda d, c: d, np.ones(2))
    assert words in str(caught.value) and "\n" not in str(caught.value)


CHILD = """
import sys
import numpy as np
from npgpt.gradcheck import check_function
print(sum(name.partition(".")[0] == "npgpt" for name in sys.modules))
inf = -np.inf
def loss(x):
    p = np.exp(x - x.real.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True))[..., 0].sum()
def grad(x):
    p = np.exp(x - x.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return p[..., :1] * (np.eye(x.shape[-1])[0] - p)
for x in ([[0.0, 1.0, inf]], [[1.0, inf, inf]], [[inf, inf, inf]], [[0.0, 1.0, np.inf]]):
    with np.errstate(all="ignore"):
        print(check_function(loss, grad, np.array(x)))
"""


def test_it_loads_little_and_writes_nothing_to_stderr():
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    count, first, *_ = done.stdout.splitlines()
    assert int(count) <= 8 and first == "loss: right"
