import numpy as np

from npgpt.doctor.evidence.fault import Fault, adds, close, fit, gives

from ..pairs import normal


def test_close_means_eight_digits_and_nothing_fits_nothing():
    g = normal(0, 9)
    assert close(g, g * (1 + 1e-9))
    assert not close(g, g * (1 + 1e-7))
    assert not close(np.zeros(3), np.zeros(3))


def test_fit_finds_the_multiple():
    g = normal(0, 9)
    assert abs(fit(-2.5 * g, g) + 2.5) < 1e-14


def test_what_a_fault_predicts_can_follow_another():
    g = normal(0, 2, 9)
    one, other = Fault("factor", "", predict=lambda truth: 2 * truth), Fault(
        "extra-term", "", predict=adds(np.ones(9)))
    assert np.array_equal(other.predict(one.predict(g)), 2 * g + 1)
    assert np.array_equal(gives(g)(np.zeros(3)), g)
    assert one == Fault("factor", "")  # two faults of the same words are one
