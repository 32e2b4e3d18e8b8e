import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.doctor import GradientMismatch, check, check_function

from .pairs import (
    PAIRS,
    attention_backward,
    attention_forward,
    attention_inputs,
    damaged,
    dropout_backward,
    dropout_forward,
    embedding_forward,
    embedding_inputs,
    layernorm_backward,
    layernorm_forward,
    layernorm_inputs,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
    softmax_backward,
    softmax_forward,
)


@pytest.mark.parametrize("name", PAIRS)
def test_a_right_pair_has_no_finding_and_errors_at_rounding_level(name):
    forward, backward, inputs = PAIRS[name]
    report = check(forward, backward, *inputs)
    assert report.ok, str(report)
    assert {row.argument for row in report.rows} <= set(forward.__code__.co_varnames)
    assert report.worst < 1e-12
    assert all(row.method == "complex step" for row in report.rows)


def test_a_gradient_times_seven_is_a_finding():
    report = check(
        linear_forward, damaged(linear_backward, lambda dx, dw, db: (dx, 7 * dw, db)),
        *linear_inputs())
    assert report.kinds == ["factor"]
    assert report.findings[0].argument == "weight"
    assert "7" in report.findings[0].message


def test_a_softmax_that_returns_zeros_is_a_finding():
    report = check(softmax_forward, damaged(softmax_backward, np.zeros_like), normal(0, 2, 3, 5))
    # a sum-loss would pass this: rows of softmax sum to a constant
    assert not report.ok


def test_a_scrambled_dk_is_a_finding_even_at_weights_of_scale_a_fiftieth():
    inputs = [0.02 * a for a in attention_inputs()]
    report = check(
        attention_forward,
        damaged(attention_backward, lambda dq, dk, dv: (dq, dk[:, [1, 2, 0]], dv)), *inputs)
    assert [f.argument for f in report.findings] == ["k"]


def test_a_forgotten_broadcast_sum_is_named():
    report = check(
        linear_forward,
        damaged(linear_backward, lambda dx, dw, db: (dx, dw, np.ones((2, 3, 5)) * db / 6)),
        *linear_inputs())
    assert report.kinds == ["missing-broadcast-sum"]


def test_repeated_ids_that_overwrite_are_named():
    def backward(dout, cache):
        ids, shape = cache
        dweight = np.zeros(shape)
        dweight[ids] = dout
        return None, dweight

    report = check(embedding_forward, backward, *embedding_inputs())
    assert report.kinds == ["repeated-ids-overwritten"]


def test_a_gradient_that_is_zero_in_exact_arithmetic_is_right_and_marked():
    def forward(bias):
        q, k, v = attention_inputs()
        return attention_forward(q, k + bias, v)

    def backward(dout, cache):
        return (attention_backward(dout, cache)[1].sum(axis=(0, 1)),)

    report = check(forward, backward, normal(1, 4))
    assert report.ok, str(report)
    assert report.rows[0].zero

    wrong = check(forward, damaged(backward, lambda d: (d + 1e-6,)), normal(1, 4))
    assert not wrong.ok


def test_generators_are_copied_so_that_every_call_draws_the_same_mask():
    report = check(
        dropout_forward, dropout_backward, normal(0, 4, 5), rate=0.3, rng=np.random.default_rng(3))
    assert report.ok, str(report)


def test_integer_ids_and_none_have_no_gradient():
    x, weight, _ = linear_inputs()
    report = check(linear_forward, linear_backward, x, weight, None)
    assert report.ok, str(report)
    assert [row.argument for row in report.rows] == ["x", "weight"]


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("error", [1e-6, 1e-3])
def test_one_slightly_wrong_element_cannot_hide_at_any_scale(size, error):
    def damage(dx, dw, db):
        dw = dw.copy()
        dw[2, 3] *= 1 + error
        return dx, dw, db

    inputs = [size * a for a in linear_inputs()]
    report = check(linear_forward, damaged(linear_backward, damage), *inputs)
    assert [f.argument for f in report.findings] == ["weight"]
    assert report.findings[0].index == (2, 3)


def test_raise_if_wrong_carries_the_report():
    report = check(linear_forward, damaged(linear_backward, lambda dx, dw, db: (-dx, dw, db)),
                   *linear_inputs())
    with pytest.raises(GradientMismatch, match="wrong-sign") as caught:
        report.raise_if_wrong()
    assert caught.value.report is report


def test_several_faults_in_different_inputs_are_each_named():
    report = check(
        layernorm_forward, damaged(layernorm_backward, lambda dx, dw, db: (-dx, 3 * dw, db)),
        *layernorm_inputs())
    assert {f.argument: f.kind for f in report.findings} == {"x": "wrong-sign", "weight": "factor"}


def test_two_faults_in_one_gradient_are_both_named():
    x, y = normal(0, 4, 4), normal(1, 4, 4)
    report = check(
        lambda x, y: (x @ y, (x, y)),
        lambda dout, cache: (dout @ cache[1].T, -5 * (cache[0].T @ dout).T), x, y)
    assert report.kinds == ["transposed", "factor"]


def test_a_function_and_its_gradient_are_checked_without_any_contract():
    x = normal(0, 3, 4)
    assert check_function(lambda x: np.sum(np.sin(x)), np.cos, x).ok
    assert check_function(lambda x: np.sum(np.sin(x)), lambda x: -np.cos(x), x).kinds == [
        "wrong-sign"]
    assert check_function(np.sin, lambda x, dout: dout * np.cos(x), x).ok
    assert check_function(lambda a, b: (a * b).sum(), lambda a, b: (b, a), (x, x + 1)).ok


def test_a_function_that_knows_no_complex_numbers_falls_back_and_says_why():
    def f(x):
        return float(np.sum(np.asarray(x, dtype=np.float64) ** 3))

    report = check_function(f, lambda x: 3 * x**2, normal(0, 5))
    assert report.ok, str(report)
    assert report.rows[0].method == "Richardson"
    assert "complex" in report.rows[0].why
    assert report.worst < 1e-9


def test_a_function_that_is_not_analytic_is_not_trusted_to_the_complex_step():
    x = normal(0, 3, 4)
    report = check_function(
        lambda x: np.sum(np.var(x, axis=-1)),
        lambda x: 2 * (x - x.mean(axis=-1, keepdims=True)) / x.shape[-1], x)
    assert report.ok, str(report)
    assert report.rows[0].method == "Richardson"


def test_a_cancelling_backward_is_right_up_to_noise():
    x = np.array([[400.0, 370.0, 0.0], [30.0, -30.0, 0.0]])
    report = check(softmax_forward, softmax_backward, x)
    assert report.ok and "right up to rounding noise" in report.notes[0]
    assert "right up to noise" in str(report)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["softmax", "layernorm"]), st.integers(1, 4), st.integers(1, 5),
    st.integers(0, 10**6))
def test_no_right_pair_is_accused_at_any_shape(name, rows, columns, seed):
    forward, backward, _ = PAIRS[name]
    inputs = (normal(seed, rows, columns),)
    if name == "layernorm":
        inputs += (normal(seed + 1, columns), normal(seed + 2, columns))
    report = check(forward, backward, *inputs)
    assert report.ok, str(report)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(PAIRS)), st.integers(0, 10**6), st.floats(1e-6, 10))
def test_any_change_of_a_gradient_is_found(name, seed, size):
    forward, backward, inputs = PAIRS[name]
    floats = [i for i, a in enumerate(inputs) if a.dtype == float]
    which = np.random.default_rng(seed).choice(floats)
    noise = np.random.default_rng(seed).standard_normal(inputs[which].shape)

    def broken(dout, cache):
        grads = list(backward(dout, cache))
        grads[which] = grads[which] + size * np.abs(grads[which]).max() * noise
        return tuple(grads)

    report = check(forward, broken, *inputs)
    assert [f.argument for f in report.findings] == [forward.__code__.co_varnames[which]]


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, x):
    return (dout * (x > 0),)


def test_a_large_relu_is_not_accused_of_its_kinks():
    rng = np.random.default_rng(0)
    zeros = rng.standard_normal((30, 20))
    zeros[zeros < 0] = 0
    for x in (zeros, rng.standard_normal((250, 400))):
        report = check(relu_forward, relu_backward, x)
        assert report.ok, report
    wrong = check(relu_forward, lambda d, x: (np.where(x == x[3, 4], 2, 1) * d * (x > 0),),
                  np.abs(rng.standard_normal((250, 400))) + 1)
    assert not wrong.ok and wrong.findings[0].index == (3, 4)


def test_a_slice_that_is_assigned_to_is_looked_into_without_a_fault_of_our_own():
    def shift_forward(x):
        out = np.zeros_like(x)
        out[:, 1:] = x[:, :-1]
        return out, None

    def shift_backward(dout, cache):
        g = np.zeros_like(dout)
        g[:, 1:] = dout[:, 1:]
        return (g,)

    report = check(shift_forward, shift_backward, np.random.default_rng(0).standard_normal((3, 5)))
    assert not report.ok and report.findings[0].argument == "x"


def test_a_mean_over_the_batch_is_not_accused_of_an_empty_one():
    def mse_forward(x):
        return np.asarray((x * x).sum() / x.size), x

    def mse_backward(dout, x):
        return (dout * 2 * x * (1 / len(x)) / x.shape[1],)

    report = check(mse_forward, mse_backward, np.random.default_rng(0).standard_normal((3, 5)))
    assert report.ok, report


def test_empty_inputs_are_said_to_prove_nothing():
    report = check(relu_forward, relu_backward, np.zeros((0, 4)))
    assert report.kinds == ["undecided"] and "Nothing was checked" in report.findings[0].message


def test_a_report_shows_itself_where_an_assertion_prints_it():
    report = check(relu_forward, lambda d, x: (-d * (x > 0),), np.array([1.0, -2.0]))
    assert repr(report) == str(report) and "wrong-sign" in repr(report)


def test_a_check_that_can_prove_nothing_is_undecided_and_not_right():
    rng = np.random.default_rng(0)

    def forward(x):  # a smooth square under noise of a thousandth
        return np.real(x) ** 2 + 1e-3 * rng.standard_normal(x.shape), x

    report = check(lambda x: (np.float16(np.real(x)) ** 2, x), lambda d, x: (2 * d * x,),
                   np.array([0.5, 100.0]))
    assert report.kinds == ["undecided"] and not report.ok
    assert "UNDECIDED" in str(report) and "undecided" in str(report).splitlines()[0]
    assert check(lambda: (np.ones(3), None), lambda d, c: ()).kinds == ["undecided"]
    assert not check(forward, lambda d, x: (2 * d * x,), np.ones(3)).ok


def test_one_fault_is_told_once():
    report = check(relu_forward, lambda d, x: ((d * (x > 0)).astype(np.float32),),
                   np.array([1.3, -2.0]))
    assert report.kinds == ["float32"]
    report = check(linear_forward, damaged(linear_backward, lambda dx, dw, db: (dw, dx, db)),
                   normal(0, 3, 4), normal(1, 4, 5), normal(2, 5))
    assert report.kinds == ["another-input"]


def test_a_pair_in_float32_is_right_with_a_note():
    report = check(lambda x: (np.tanh(x.astype(np.float32)), x),
                   lambda d, x: ((d * (1 - np.tanh(x) ** 2)).astype(np.float32),), normal(0, 3, 4))
    assert report.ok and "computes in float32" in report.notes[0]
