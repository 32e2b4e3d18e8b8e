from __future__ import annotations

import numpy as np
import pytest

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.linear import linear_backward, linear_forward

pytestmark = pytest.mark.smoke


def test_values_agree_with_a_hand_calculation():
    weight = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])     # (in, out)
    out, _ = linear_forward(np.array([[1.0, 1.0], [0.0, 2.0]]), weight, np.array([0.0, 0.0, 5.0]))
    np.testing.assert_array_equal(out, [[11.0, 22.0, 38.0], [20.0, 40.0, 65.0]])


@pytest.mark.parametrize("shape", [(8,), (3, 8), (2, 3, 8), (5, 2, 3, 8)])
def test_any_number_of_leading_axes_is_positions(shape, rng):
    x, weight, bias = rng.standard_normal(shape), rng.standard_normal((8, 6)), np.ones(6)
    out, cache = linear_forward(x, weight, bias)
    np.testing.assert_allclose(out, np.einsum("...i,io->...o", x, weight) + 1.0, rtol=1e-12)
    dx, dweight, dbias = linear_backward(np.ones_like(out), cache)
    assert (dx.shape, dweight.shape, dbias.shape) == (x.shape, weight.shape, bias.shape)


def test_bias_gathers_its_gradient_from_every_position():
    _, cache = linear_forward(np.zeros((2, 3, 4)), np.zeros((4, 5)), np.zeros(5))
    _, _, dbias = linear_backward(np.ones((2, 3, 5)), cache)
    np.testing.assert_array_equal(dbias, np.full(5, 6.0))


def test_no_bias_adds_nothing_and_has_no_gradient(rng):
    x, weight = rng.standard_normal((2, 3, 8)), rng.standard_normal((8, 6))
    out, cache = linear_forward(x, weight, None)
    np.testing.assert_array_equal(out, linear_forward(x, weight, np.zeros(6))[0])
    assert linear_backward(out, cache)[2] is None


def test_gradients_agree_with_the_numbers(rng):
    x, weight, bias = (rng.standard_normal(s) for s in ((2, 3, 8), (8, 6), (6,)))
    prove_gradients(linear_forward, linear_backward, x, weight, bias)
    prove_gradients(linear_forward, linear_backward, x, weight, None)
