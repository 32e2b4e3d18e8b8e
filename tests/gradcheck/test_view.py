import numpy as np

from npgpt.gradcheck.measure import measure
from npgpt.gradcheck.subject import Subject
from npgpt.gradcheck.view import View, close, fit

from .pairs import linear_backward, linear_forward, linear_inputs, normal


def test_close_means_eight_digits_and_nothing_fits_nothing():
    g = normal(0, 9)
    assert close(g, g * (1 + 1e-9))
    assert not close(g, g * (1 + 1e-7))
    assert not close(np.zeros(3), np.zeros(3))


def test_fit_finds_the_multiple():
    g = normal(0, 9)
    assert abs(fit(-2.5 * g, g) + 2.5) < 1e-14


def test_a_view_can_weigh_dout_before_the_true_gradient_is_taken():
    subject = Subject(linear_forward, linear_backward, linear_inputs(), {})
    m = measure(subject, np.random.default_rng(0), [0, 1, 2])
    view = View(m, 2, m.analytic[2], m.numeric[2])
    keep = np.array([1.0, 0.0])[:, None, None]
    assert view.name == "bias" and view.shape == (5,)
    assert np.allclose(view.weighted(keep), m.douts[:, 0].sum(axis=1))
    assert view.cubes(view.true).shape == (4, 5)
