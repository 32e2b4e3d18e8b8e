import numpy as np
import pytest

from npgpt.gradcheck.compare import agree


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def verdict(analytic, numeric, error=0.0, scale=1.0, noise=0.0):
    errors = np.full(numeric.shape, error)
    return agree(analytic, numeric, errors, np.abs(numeric), scale, noise=noise)


def test_equal_gradients_agree():
    g = normal(0, 50)
    assert verdict(g, g).verdict == "right"


@pytest.mark.parametrize("size", [10, 100_000])
def test_one_element_wrong_by_a_millionth_is_wrong_at_any_size(size):
    g = normal(0, size)
    bad = g.copy()
    bad[3] *= 1 + 1e-6
    result = verdict(bad, g)
    assert result.verdict == "wrong"
    assert np.flatnonzero(result.wrong).tolist() == [3]


def test_the_error_bar_widens_the_tolerance():
    g = normal(0, 50)
    assert verdict(g + 1e-9, g, error=1e-9).verdict == "right"
    assert verdict(g + 1e-9, g).verdict == "wrong"


def test_a_zero_gradient_is_measured_against_its_scale():
    zeros = np.zeros(5)
    assert verdict(zeros + 1e-16, zeros).verdict == "right"
    assert verdict(zeros + 1e-16, zeros).zero
    assert verdict(zeros + 1e-8, zeros).verdict == "wrong"


def test_noise_is_forgiven_only_while_it_is_small():
    g = normal(0, 50)
    assert verdict(g * (1 + 1e-8), g, noise=30 * 1e-8 * np.abs(g)).verdict == "right"
    assert verdict(g * 1.1, g, noise=1e-2 * np.abs(g)).verdict == "wrong"


def test_nan_is_wrong():
    g = normal(0, 5)
    assert verdict(np.where(np.arange(5) == 2, np.nan, g), g).verdict == "wrong"


def test_a_wide_error_bar_leaves_it_undecided():
    g = np.array([40.0, 33.0, 0.4])
    result = agree(g, g, np.array([0.5, 1e-9, 1e-9]), g, 1.0)
    assert result.verdict == "undecided"
    assert agree(g, g, 1e-9 * g, g, 1.0).verdict == "right"


def test_the_precision_of_forward_widens_every_bound():
    g = normal(0, 50)
    assert verdict(g * (1 + 1e-6), g).verdict == "wrong"
    assert agree(g * (1 + 1e-6), g, 0 * g, np.abs(g), 1.0, epsilon=6e-8).verdict == "right"
    assert agree(g * (1 + 1e-3), g, 0 * g, np.abs(g), 1.0, epsilon=6e-8).verdict == "wrong"


def test_rounding_of_a_nearly_vanished_gradient_is_not_undecided():
    g = 1e-11 * normal(0, 50)
    result = agree(g, g, np.full(50, 1e-13), np.abs(g), 1.0)
    assert result.verdict == "right"
