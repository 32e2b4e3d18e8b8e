from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.gelu import (
    gelu_backward,
    gelu_exact_backward,
    gelu_exact_forward,
    gelu_forward,
)

pytestmark = pytest.mark.smoke

PAIRS = {
    "gelu": (gelu_forward, gelu_backward),
    "gelu_exact": (gelu_exact_forward, gelu_exact_backward),
}
both_forms = pytest.mark.parametrize("name", PAIRS)


def test_tanh_form_agrees_with_the_formula_written_as_a_sigmoid():
    # (1 + tanh(u)) / 2 = sigmoid(2u)
    x = np.linspace(-6.0, 6.0, 101)
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(gelu_forward(x)[0], x / (1 + np.exp(-2 * u)), rtol=1e-13,
                               atol=1e-15)


def test_exact_form_agrees_with_erfc():
    x = np.linspace(-12.0, 12.0, 481)
    expected = [v * 0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x]
    np.testing.assert_allclose(gelu_exact_forward(x)[0], expected, rtol=1e-13)


def test_the_two_forms_differ_most_near_2_7_and_by_4_7e_4():
    x = np.linspace(-6.0, 6.0, 12001)
    gap = np.abs(gelu_forward(x)[0] - gelu_exact_forward(x)[0])
    assert 4.65e-4 < gap.max() < 4.75e-4
    assert abs(abs(x[gap.argmax()]) - 2.7) < 0.05


def test_smallest_value_of_the_exact_form_is_where_it_is_known_to_be():
    x = np.linspace(-1.0, -0.5, 500001)
    out, _ = gelu_exact_forward(x)
    assert abs(x[out.argmin()] - -0.751791) < 2e-6
    assert abs(out.min() - -0.169971) < 1e-6


@both_forms
@given(x=st.floats(-50.0, 50.0))
def test_the_values_at_x_and_minus_x_differ_by_x(name, x):
    out, _ = PAIRS[name][0](np.array([x, -x]))
    assert abs(out[0] - out[1] - x) <= 1e-14 * max(1.0, abs(x))


@both_forms
def test_far_from_0_it_is_the_identity_or_0_and_nothing_overflows(name):
    forward, backward = PAIRS[name]
    x = np.array([-1e4, -50.0, 50.0, 1e4])
    out, cache = forward(x)
    np.testing.assert_array_equal(out, [0.0, 0.0, 50.0, 1e4])
    np.testing.assert_array_equal(backward(np.ones(4), cache)[0], [0.0, 0.0, 1.0, 1.0])


@both_forms
def test_at_0_it_is_0_with_slope_one_half(name):
    forward, backward = PAIRS[name]
    out, cache = forward(np.zeros(1))
    assert out == 0.0
    assert backward(np.ones(1), cache)[0] == 0.5


@both_forms
def test_gradient_agrees_with_the_numbers(name, rng):
    prove_gradients(*PAIRS[name], rng.standard_normal((2, 3, 5)))
    prove_gradients(*PAIRS[name], 4.0 * rng.standard_normal((3, 7)))
