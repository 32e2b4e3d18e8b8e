import numpy as np

from npgpt.gradcheck.measure import measure
from npgpt.gradcheck.sharpen import sharpened
from npgpt.gradcheck.subject import Subject

from .pairs import normal


def measured(factor, kind=np.float32):
    def forward(x):
        return np.square(x.astype(kind)), x

    def backward(dout, x):
        return (factor * 2 * dout * x,)

    return measure(
        Subject(forward, backward, (normal(0, 3, 4),), {}), np.random.default_rng(0), [0])


def test_a_multiple_is_put_where_it_nearly_is():
    m = measured(-1)
    assert not np.array_equal(m.analytic[0], -m.numeric[0])
    assert np.array_equal(sharpened(m).analytic[0], -m.numeric[0])


def test_right_gradients_and_float64_stay_as_they_are():
    for m in (measured(1), measured(-1, np.float64)):
        assert np.array_equal(sharpened(m).analytic[0], m.analytic[0])


def test_what_fits_nothing_stays_as_it_is():
    m = measured(np.array([1.0, 2.0, 1.0, 1.0]))
    assert m.wrong == [0]
    assert np.array_equal(sharpened(m).analytic[0], m.analytic[0])
