from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.layers.erf import normal_cdf, normal_pdf

BORDERS = [0.46875 * math.sqrt(2.0), 4.0 * math.sqrt(2.0), 30.0 * math.sqrt(2.0)]


def reference(z: np.ndarray) -> np.ndarray:
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in z])


def test_absolute_error_is_below_3e_16():
    z = np.linspace(-10.0, 10.0, 20001)
    assert np.abs(normal_cdf(z) - reference(z)).max() < 3e-16


def test_relative_error_stays_small_in_the_lower_tail():
    z = np.linspace(-5.0, 5.0, 10001)
    assert np.abs(normal_cdf(z) / reference(z) - 1.0).max() < 6e-15
    z = np.linspace(-37.0, -5.0, 10001)
    assert np.abs(normal_cdf(z) / reference(z) - 1.0).max() < 2e-13


@given(st.floats(-38.0, 38.0))
def test_the_two_tails_sum_to_1(z):
    both = normal_cdf(np.array([z, -z]))
    assert abs(both.sum() - 1.0) <= 6e-16


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_three_formulas_meet_at_their_borders(border, sign):
    z = sign * border * (1.0 + 1e-15 * np.arange(-3, 4))
    np.testing.assert_allclose(normal_cdf(z), reference(z), rtol=3e-13, atol=1e-300)


def test_known_values():
    np.testing.assert_allclose(
        normal_cdf(np.array([0.0, 1.959963984540054, -1.0])),
        [0.5, 0.975, 0.15865525393145707], rtol=1e-14,
    )


def test_far_out_it_is_0_and_1_without_a_warning():
    z = np.array([-1e300, -1e4, -40.0, 40.0, 1e4, np.inf])
    np.testing.assert_array_equal(normal_cdf(z), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0])


def test_density_is_the_derivative_of_the_share_below():
    z = np.concatenate([np.linspace(-8.0, 8.0, 161), BORDERS[:2], [-BORDERS[0], -BORDERS[1]]])
    slope = normal_cdf(z + 1e-30j).imag / 1e-30
    np.testing.assert_allclose(slope, normal_pdf(z), rtol=5e-13, atol=1e-15)


def test_density_agrees_with_the_formula():
    z = np.array([-2.0, 0.0, 1.0])
    expected = [math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in z]
    np.testing.assert_allclose(normal_pdf(z), expected, rtol=1e-14)


def test_single_precision_stays_single_and_accurate():
    z = np.linspace(-9.0, 9.0, 1001)
    out = normal_cdf(z.astype(np.float32))
    assert out.dtype == np.float32
    assert np.abs(out - reference(z.astype(np.float32))).max() < 2e-7


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_any_shape_is_kept(shape):
    assert normal_cdf(np.zeros(shape)).shape == shape
