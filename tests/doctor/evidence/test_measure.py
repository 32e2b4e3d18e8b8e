import numpy as np
import pytest

from npgpt.doctor import check, check_function
from npgpt.doctor.evidence.measure import evidence, measure, row, usable
from npgpt.doctor.evidence.subject import Subject
from npgpt.gradcheck.numeric import signs

from ..pairs import (
    damaged,
    linear_backward,
    linear_forward,
    linear_inputs,
    softmax_backward,
    softmax_forward,
)


def measured(backward=linear_backward):
    return measure(
        Subject(linear_forward, backward, linear_inputs(), {}), np.random.default_rng(0), [0, 1, 2])


def test_one_jacobian_gives_the_true_gradient_for_every_dout():
    m = measured()
    for dout, numeric in zip(m.douts, m.numeric[1], strict=True):
        _, cache = linear_forward(*linear_inputs())
        assert np.allclose(numeric.reshape(4, 5), linear_backward(dout, cache)[1], rtol=1e-13)
    assert m.wrong == []


def test_only_the_wrong_position_is_wrong():
    m = measured(damaged(linear_backward, lambda dx, dw, db: (dx, dw + 1e-6, db)))
    assert m.wrong == [1]
    rows = [row(m.subject, i, m.verdict[i], m.method[i]) for i in (0, 1)]
    assert rows[0].ok and not rows[1].ok


def test_a_gradient_of_another_shape_has_no_verdict():
    m = measured(damaged(linear_backward, lambda dx, dw, db: (dx, dw.T, db)))
    assert 1 not in m.verdict and 1 in m.numeric
    assert usable(m.returned, 1, (4, 5)) is None


def test_a_saturated_softmax_is_not_accused_for_its_rounding():
    x = np.array([[40.0, 0.0, -3.0], [0.0, 35.0, 1.0]])
    m = measure(Subject(softmax_forward, softmax_backward, (x,), {}), np.random.default_rng(0), [0])
    assert m.wrong == []


def test_a_random_dout_has_both_signs_and_no_small_element():
    dout = signs((50,), np.random.default_rng(0))
    assert dout.min() < 0 < dout.max()
    assert np.abs(dout).min() >= 0.5


def test_where_differences_are_too_blunt_a_complex_step_may_prove_a_gradient_right_only():
    def forward(x):  # so steep that it takes small steps
        return np.tanh(1e5 * x) * 1e-4, x

    def backward(dout, x, factor=1.0):
        return (factor * dout * 10 / np.cosh(1e5 * x) ** 2,)

    x = np.array([5e-5, -7e-5])
    for factor in (1.0, 1.01):
        m = measure(
            Subject(forward, lambda d, c, f=factor: backward(d, c, f), (x,), {}),
            np.random.default_rng(0), [0])
        proven = m.wrong == [] and m.verdict[0].verdict != "undecided"
        assert proven == (factor == 1.0)


X = np.array([[0.0, 0.5, -0.3], [1.0, 0.0, -2e-6]])


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_any_choice_of_slope_at_a_kink_is_right_and_the_step_aside_is_told(at_zero):
    def backward(dout, x):
        return (dout * np.where(x == 0, at_zero, x > 0),)

    report = check(lambda x: (np.where(x.real > 0, x, 0), x), backward, X)
    assert report.ok, str(report)
    assert "kink" in report.notes[0] and "2 elements" in report.notes[0]


def test_a_wrong_slope_beside_the_kink_is_still_wrong():
    report = check_function(lambda x: np.abs(x).sum(), lambda x: np.sign(x) * 2, X)
    assert report.kinds == ["factor"]


def test_smooth_inputs_are_not_moved():
    report = check(lambda x: (np.sin(x), x), lambda dout, x: (dout * np.cos(x),), X)
    assert report.ok and not report.notes


def test_a_step_never_leaves_where_the_function_is_defined():
    from npgpt.doctor import check

    steep = np.array([1e-3, 0.01, 0.5, 3.0])
    report = check(lambda x: (np.log(x), x), lambda d, x: (d / x,), steep)
    assert report.ok, report

    def guarded(x):
        if (np.real(x) <= 0).any():
            raise ValueError("log of what is not positive")
        return np.log(x), x

    assert check(guarded, lambda d, x: (d / x,), np.array([0.2, 0.5, 3.0])).ok


def test_dout_can_be_weighted_before_the_true_gradient_is_taken():
    m = measured()
    v = evidence(m, 2)
    keep = np.array([1.0, 0.0])[:, None, None]
    assert v.name == "bias" and v.shape == (5,) and v.shaped
    assert np.allclose(v.weighted(keep), m.douts[:, 0].sum(axis=1))
    assert v.cubes(v.truth).shape == (4, 5) and np.array_equal(v.rows, m.analytic[2])
