import numpy as np

from npgpt.doctor.fault import close, fit, wrong_gradient
from npgpt.doctor.measure import measure
from npgpt.doctor.subject import Subject

from .pairs import linear_backward, linear_forward, linear_inputs, normal


def test_close_means_eight_digits_and_nothing_fits_nothing():
    g = normal(0, 9)
    assert close(g, g * (1 + 1e-9))
    assert not close(g, g * (1 + 1e-7))
    assert not close(np.zeros(3), np.zeros(3))


def test_fit_finds_the_multiple():
    g = normal(0, 9)
    assert abs(fit(-2.5 * g, g) + 2.5) < 1e-14


def test_dout_can_be_weighted_before_the_true_gradient_is_taken():
    subject = Subject(linear_forward, linear_backward, linear_inputs(), {})
    m = measure(subject, np.random.default_rng(0), [0, 1, 2])
    v = wrong_gradient(m, 2)
    keep = np.array([1.0, 0.0])[:, None, None]
    assert v.name == "bias" and v.shape == (5,)
    assert np.allclose(v.weighted(keep), m.douts[:, 0].sum(axis=1))
    assert v.cubes(v.numeric).shape == (4, 5)
