from __future__ import annotations

import numpy as np

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.relu import (
    leaky_relu_backward,
    leaky_relu_forward,
    relu_backward,
    relu_forward,
)

X = np.array([[-2.0, -0.5, 0.0], [0.5, 3.0, -1.0]])


def test_relu_keeps_what_is_positive():
    np.testing.assert_array_equal(relu_forward(X)[0], [[0, 0, 0], [0.5, 3, 0]])


def test_leaky_relu_lets_a_share_of_the_rest_through():
    out, _ = leaky_relu_forward(X, np.array([0.1]))
    np.testing.assert_allclose(out, [[-0.2, -0.05, 0.0], [0.5, 3.0, -0.1]], rtol=1e-15)


def test_at_the_kink_the_left_slope_is_taken():
    _, cache = relu_forward(np.zeros(1))
    assert relu_backward(np.array([3.0]), cache)[0] == 0.0
    _, cache = leaky_relu_forward(np.zeros(1), np.array([0.25]))
    assert leaky_relu_backward(np.array([3.0]), cache)[0] == 0.75


def test_slope_0_is_relu_and_slope_1_is_the_identity(rng):
    x = rng.standard_normal((2, 3, 5))
    np.testing.assert_array_equal(leaky_relu_forward(x, np.zeros(1))[0], relu_forward(x)[0])
    np.testing.assert_array_equal(leaky_relu_forward(x, np.ones(1))[0], x)


def test_slope_gathers_its_gradient_from_all_that_is_not_positive():
    _, cache = leaky_relu_forward(X, np.array([0.1]))
    _, dslope = leaky_relu_backward(np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]), cache)
    np.testing.assert_array_equal(dslope, [-2.0 * 1 - 0.5 * 2 + 0 * 4 - 1.0 * 32])


def test_gradient_of_relu_agrees_with_the_numbers(rng):
    prove_gradients(relu_forward, relu_backward, rng.standard_normal((2, 3, 5)))
    prove_gradients(relu_forward, relu_backward, X)         # the kink too


def test_gradients_of_leaky_relu_agree_with_the_numbers(rng):
    x, slope = rng.standard_normal((2, 3, 5)), np.array([0.3])
    prove_gradients(leaky_relu_forward, leaky_relu_backward, x, slope)
    prove_gradients(leaky_relu_forward, leaky_relu_backward, X, slope)
