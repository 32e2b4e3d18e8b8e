from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.silu import silu_backward, silu_forward


def test_values_agree_with_the_formula_written_with_exp():
    x = np.linspace(-30.0, 30.0, 601)
    np.testing.assert_allclose(silu_forward(x)[0], x / (1.0 + np.exp(-x)), atol=2e-15, rtol=1e-14)


def test_smallest_value_is_where_it_is_known_to_be():
    x = np.linspace(-1.5, -1.0, 500001)
    out, _ = silu_forward(x)
    assert abs(x[out.argmin()] - -1.278465) < 2e-6
    assert abs(out.min() - -0.278465) < 1e-6


@given(st.floats(-50.0, 50.0))
def test_the_values_at_x_and_minus_x_differ_by_x(x):
    out, _ = silu_forward(np.array([x, -x]))
    assert abs(out[0] - out[1] - x) <= 1e-14 * max(1.0, abs(x))


def test_far_from_0_it_is_the_identity_or_0_and_nothing_overflows():
    x = np.array([-1e4, 1e4])
    out, cache = silu_forward(x)
    np.testing.assert_array_equal(out, [0.0, 1e4])
    np.testing.assert_array_equal(silu_backward(np.ones(2), cache)[0], [0.0, 1.0])


def test_gradient_agrees_with_the_numbers(rng):
    prove_gradients(silu_forward, silu_backward, rng.standard_normal((2, 3, 5)))
