import numpy as np
import pytest

from npgpt.gradcheck import check, check_function

X = np.array([[0.0, 0.5, -0.3], [1.0, 0.0, -2e-6]])


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_any_choice_of_slope_at_a_kink_is_right_and_the_step_aside_is_told(at_zero):
    def backward(dout, x):
        return (dout * np.where(x == 0, at_zero, x > 0),)

    report = check(lambda x: (np.where(x.real > 0, x, 0), x), backward, X)
    assert report.ok, str(report)
    assert "kink" in report.notes[0] and "3 elements" in report.notes[0]


def test_a_wrong_slope_beside_the_kink_is_still_wrong():
    report = check_function(lambda x: np.abs(x).sum(), lambda x: np.sign(x) * 2, X)
    assert report.kinds == ["factor"]


def test_smooth_inputs_are_not_moved():
    report = check(lambda x: (np.sin(x), x), lambda dout, x: (dout * np.cos(x),), X)
    assert report.ok and not report.notes


def test_a_step_never_leaves_where_the_function_is_defined():
    from npgpt.gradcheck import check

    steep = np.array([1e-3, 0.01, 0.5, 3.0])
    report = check(lambda x: (np.log(x), x), lambda d, x: (d / x,), steep)
    assert report.ok, report

    def guarded(x):
        if (np.real(x) <= 0).any():
            raise ValueError("log of what is not positive")
        return np.log(x), x

    assert check(guarded, lambda d, x: (d / x,), np.array([0.2, 0.5, 3.0])).ok
