from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.dropout import dropout_backward, dropout_forward
from npgpt.selfcheck.cases import FixedUniform


@given(st.floats(0.01, 0.95), st.integers(0, 100))
def test_the_mean_stays(rate, seed):
    n = 20000
    out, _ = dropout_forward(np.ones(n), rate=rate, rng=np.random.default_rng(seed))
    # the mask's standard deviation is sqrt(rate / (1 - rate))
    assert abs(out.mean() - 1.0) < 6 * math.sqrt(rate / (1 - rate) / n)


@given(st.floats(0.01, 0.95), st.integers(0, 100))
def test_elements_are_dropped_or_scaled_up_and_nothing_else(rate, seed):
    out, _ = dropout_forward(np.ones(100), rate=rate, rng=np.random.default_rng(seed))
    np.testing.assert_allclose(out[out != 0], 1 / (1 - rate), rtol=1e-14)


def test_an_element_passes_when_its_draw_is_below_1_minus_rate():
    class Draws:
        def random(self, size=None):
            return np.array([0.0, 0.74, 0.75, 0.99])

    out, _ = dropout_forward(np.array([3.0, 3.0, 3.0, 3.0]), rate=0.25, rng=Draws())
    np.testing.assert_array_equal(out, [4.0, 4.0, 0.0, 0.0])


def test_backward_uses_the_mask_of_forward(rng):
    x, dout = rng.standard_normal((2, 5, 8))
    out, cache = dropout_forward(x, rate=0.5, rng=rng)
    for _ in range(2):
        (dx,) = dropout_backward(dout, cache)
        np.testing.assert_array_equal(dx == 0, out == 0)
        np.testing.assert_allclose(dx, dout * (out / x), rtol=1e-14)


def test_rate_0_passes_through_and_draws_nothing(rng):
    x, state = rng.standard_normal((2, 3)), rng.bit_generator.state
    out, cache = dropout_forward(x, rate=0.0, rng=rng)
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(dropout_backward(out, cache)[0], x)
    assert rng.bit_generator.state == state
    np.testing.assert_array_equal(dropout_forward(x, rate=0.0)[0], x)


def test_one_seed_gives_one_mask_and_another_seed_another():
    def mask(seed: int) -> np.ndarray:
        return dropout_forward(np.ones(50), rate=0.5, rng=np.random.default_rng(seed))[1]

    np.testing.assert_array_equal(mask(1), mask(1))
    assert (mask(1) != mask(2)).any()


def test_two_draws_from_one_generator_differ(rng):
    first, second = (dropout_forward(np.ones(50), rate=0.5, rng=rng)[0] for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize("rate", [1.0, -0.1, 2, float("nan")])
def test_a_rate_outside_its_range_is_rejected(rate, rng):
    with pytest.raises(ValueError, match=rf"expects a rate in \[0, 1\).*; got {rate}"):
        dropout_forward(np.ones(3), rate=rate, rng=rng)


def test_dropping_without_a_random_source_is_rejected():
    with pytest.raises(ValueError, match="pass rng="):
        dropout_forward(np.ones(3), rate=0.5)


def test_gradient_agrees_with_the_numbers(rng):
    x = rng.standard_normal((2, 3, 5))
    prove_gradients(dropout_forward, dropout_backward, x, rate=0.3, rng=FixedUniform(1))
    prove_gradients(dropout_forward, dropout_backward, x, rate=0.0)
