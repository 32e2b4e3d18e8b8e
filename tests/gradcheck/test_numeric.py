import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.gradcheck.numeric import (
    COMPLEX_STEP,
    EPSILON,
    RICHARDSON,
    complex_step,
    richardson,
    rounding_noise,
    unit_directions,
    ways,
)

pytestmark = pytest.mark.smoke


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def trusted(f, x, rng):
    return ways(f, x, rng)[0]


def rng():
    return np.random.default_rng(0)


def test_a_complex_step_is_exact_to_the_last_digits():
    x, v = normal(0, 20), normal(1, 20)
    exact = np.cos(x) * np.exp(np.sin(x)) * v
    assert np.allclose(complex_step(lambda z: np.exp(np.sin(z)), x, v), exact, rtol=1e-14, atol=0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(-2, 2))
def test_the_error_bar_of_richardson_covers_its_error(seed, power):
    x, v = 10**power * normal(seed, 6), normal(seed + 1, 6)

    def f(x):
        return np.tanh(x) * np.exp(np.cos(x))

    exact = complex_step(f, x, v)
    value, error, _ = richardson(f, x, v, rounding_noise(f, x, rng())[0])
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
    assert trusted(f, 2 + normal(0, 4), rng()).name == RICHARDSON


@pytest.mark.parametrize("f", [
    lambda x: np.asarray(x, dtype=float) ** 2,
    lambda x: np.array([float(v) ** 2 for v in x]),
    lambda x: np.floor(x) + x,
])
def test_a_function_that_loses_complex_numbers_gets_richardson_and_a_reason(f):
    method = trusted(f, 0.3 + normal(0, 4), rng())
    assert method.name == RICHARDSON
    assert "complex" in method.why


def test_comparisons_and_maximum_pass_a_complex_step():
    x = normal(0, 30)
    assert trusted(lambda z: np.maximum(z, 0) * z, x, rng()).name == COMPLEX_STEP


def test_on_and_just_beside_a_kink_the_slopes_of_both_sides_are_found_and_nowhere_else():
    def f(x):
        return np.abs(x) + np.sin(3 * x)

    x = np.array([0.0, 1e-6, -0.4, 0.7, 2e-8])
    value, error, spread = richardson(f, x, np.ones(5))
    assert (spread > 0.9).tolist() == [True, True, False, False, True]
    assert not spread[2:4].any()
    for side in (-1, 1):
        assert np.all(np.abs(side + 3 * np.cos(3 * x) - value)[[0, 1, 4]] <= spread[[0, 1, 4]] + 5 * error[[0, 1, 4]])


def test_the_noise_sees_rounding_that_the_size_of_the_values_hides():
    x = np.linspace(-15, -14, 9)

    def tail(x):
        return 1 + np.tanh(x)  # 2e-13, but rounded like a number near 1

    assert np.median(rounding_noise(tail, x, rng())[0]) > 1e-17
    assert rounding_noise(lambda x: np.exp(2 * x), x, rng())[0].max() < 1e-20


@pytest.mark.parametrize("kind, epsilon", [(np.float32, 2**-24), (np.float16, 2**-11)])
@pytest.mark.parametrize("f", [
    lambda x, kind: np.sin(x.astype(kind)),
    lambda x, kind: float(np.mean(np.square(x.astype(kind)))),
    lambda x, kind: np.maximum(x.astype(kind), 0),
])
def test_a_function_in_few_digits_is_recognised(f, kind, epsilon):
    method = trusted(lambda x: f(np.real(x), kind), normal(0, 5), rng())
    assert method.coarse and method.epsilon == pytest.approx(epsilon, rel=0.5)
    assert np.dtype(kind).name in method.why


def test_a_function_that_is_made_float64_again_is_recognised_by_its_noise():
    method = trusted(
        lambda x: np.sin(np.real(x).astype(np.float32)).astype(float) / 3, normal(0, 5), rng())
    assert method.coarse and "float32" in method.why


@pytest.mark.parametrize("f", [
    np.abs, lambda x: np.sqrt(np.abs(x)), np.sign, np.round, lambda x: np.zeros(3),
    lambda x: np.array([1.0]), lambda x: 1 / (x + 5), lambda x: np.abs(x) ** 1.5,
    lambda x: 1 + np.tanh(x - 20),
])
def test_float64_is_not_taken_for_less_on_or_off_a_kink(f):
    for x in (normal(0, 6), np.array([0.0, 0.5, 1.0, -2.0, 1e-7]), np.zeros(4)):
        assert rounding_noise(f, x, rng())[1] == EPSILON


@np.errstate(all="ignore")
def test_steep_functions_are_resolved_by_smaller_steps_and_are_no_kinks():
    x = np.array([1e-4, 2e-3, 0.5])
    for f, slope in ((np.sqrt, 0.5 / np.sqrt(x)), (lambda x: 1 / x, -1 / x**2), (np.log, 1 / x)):
        for k, v in enumerate(unit_directions((3,))):
            value, error, spread = richardson(f, x, v)
            assert not spread.any()
            assert abs(value[k] - slope[k]) <= 10 * error[k] + 1e-12 <= 1e-5 * abs(slope[k])
