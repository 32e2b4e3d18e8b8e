import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.gradcheck.numeric import (
    COMPLEX_STEP,
    RICHARDSON,
    complex_step,
    derivative,
    richardson,
)

pytestmark = pytest.mark.smoke


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def trusted(f, x, rng):
    """(name, why) of the method for f."""
    return derivative(f, x, rng)[:2]


def rng():
    return np.random.default_rng(0)


def test_a_complex_step_is_exact_to_the_last_digits():
    x, v = normal(0, 20), normal(1, 20)
    exact = np.cos(x) * np.exp(np.sin(x)) * v
    found = complex_step(lambda z: np.exp(np.sin(z)), x, v).value
    assert np.allclose(found, exact, rtol=1e-14, atol=0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(-2, 2))
def test_the_error_bar_of_richardson_covers_its_error(seed, power):
    x, v = 10**power * normal(seed, 6), normal(seed + 1, 6)

    def f(x):
        return np.tanh(x) * np.exp(np.cos(x))

    exact = complex_step(f, x, v).value
    value, error, _ = richardson(f, x, v)
    assert np.all(np.abs(value - exact) <= 10 * error + 1e-15)


def test_richardson_is_good_to_ten_digits_on_a_smooth_function():
    x, v = normal(0, 20), normal(1, 20)
    value, _, spread = richardson(np.sin, x, v)
    assert not spread.any()
    assert np.linalg.norm(value - np.cos(x) * v) < 1e-10 * np.linalg.norm(value)


@pytest.mark.parametrize("f", [
    lambda x: np.abs(x) ** 3,
    lambda x: np.var(x, axis=-1),
    lambda x: np.linalg.norm(x),
    lambda x: x * np.conj(x),
    lambda x: x.real * x,
])
def test_a_function_that_is_not_analytic_gets_richardson(f):
    assert trusted(f, 2 + normal(0, 4), rng())[0] == RICHARDSON


@pytest.mark.parametrize("f", [
    lambda x: np.asarray(x, dtype=float) ** 2,
    lambda x: np.array([float(v) ** 2 for v in x]),
    lambda x: np.floor(x) + x,
])
def test_a_function_that_loses_complex_numbers_gets_richardson_and_a_reason(f):
    name, why = trusted(f, 0.3 + normal(0, 4), rng())
    assert name == RICHARDSON
    assert "complex" in why


def test_comparisons_and_maximum_pass_a_complex_step():
    x = normal(0, 30)
    assert trusted(lambda z: np.maximum(z, 0) * z, x, rng())[0] == COMPLEX_STEP


def test_on_and_just_beside_a_kink_the_slopes_of_both_sides_are_found_and_nowhere_else():
    def f(x):
        return np.abs(x) + np.sin(3 * x)

    x = np.array([0.0, 1e-6, -0.4, 0.7, 2e-8])
    value, error, spread = richardson(f, x, np.ones(5))
    assert (spread > 0.9).tolist() == [True, True, False, False, True]
    assert not spread[2:4].any()
    for side in (-1, 1):
        gap = np.abs(side + 3 * np.cos(3 * x) - value) - spread - 5 * error
        assert np.all(gap[[0, 1, 4]] <= 0)


@np.errstate(all="ignore")
def test_steep_functions_are_resolved_by_smaller_steps_and_are_no_kinks():
    x = np.array([1e-4, 2e-3, 0.5])
    for f, slope in ((np.sqrt, 0.5 / np.sqrt(x)), (lambda x: 1 / x, -1 / x**2), (np.log, 1 / x)):
        for k, v in enumerate(np.eye(3)):
            value, error, spread = richardson(f, x, v)
            assert not spread.any()
            assert abs(value[k] - slope[k]) <= 10 * error[k] + 1e-12 <= 1e-5 * abs(slope[k])


def test_an_input_of_minus_infinity_ends_the_search_for_a_step():
    def softmax(x):     # of Python's own numbers, which are never complex
        e = [math.exp(v - max(x)) for v in x]
        return np.array(e) / sum(e)

    x = np.array([0.0, 1.0, -np.inf])
    slope = richardson(softmax, x, np.array([1.0, 0.0, 0.0]))
    p = softmax(x)
    np.testing.assert_allclose(slope.value, p * (np.eye(3)[0] - p[0]), rtol=1e-9, atol=1e-12)
