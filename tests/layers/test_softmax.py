from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.softmax import softmax_backward, softmax_forward

pytestmark = pytest.mark.smoke

scores = arrays(
    np.float64,
    array_shapes(min_dims=1, max_dims=3, max_side=6),
    elements=st.floats(-1e4, 1e4),
)


def test_values_agree_with_a_hand_calculation():
    out, _ = softmax_forward(np.log([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(out, [1 / 6, 2 / 6, 3 / 6], rtol=1e-14)


@given(scores)
def test_rows_are_weights_that_sum_to_1(x):
    out, _ = softmax_forward(x)
    assert (out >= 0).all()
    np.testing.assert_allclose(out.sum(axis=-1), 1.0, rtol=1e-14)


@given(scores, st.integers(-1000, 1000))
def test_a_constant_added_to_a_row_changes_nothing(x, constant):
    x = np.round(x)     # integers, so that adding the constant does not round
    np.testing.assert_array_equal(softmax_forward(x)[0], softmax_forward(x + constant)[0])


def test_scores_of_ten_thousand_neither_overflow_nor_lose_the_winner():
    out, _ = softmax_forward(np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]]))
    np.testing.assert_allclose(out, [[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-14)


def test_a_score_of_minus_infinity_gets_weight_0():
    out, _ = softmax_forward(np.array([-np.inf, 0.0, math.log(3.0)]))
    np.testing.assert_allclose(out, [0.0, 0.25, 0.75], rtol=1e-14)


def test_a_row_of_one_score_gets_all_the_weight_and_no_gradient():
    out, cache = softmax_forward(np.array([[3.0], [-7.0]]))
    assert (out == 1.0).all()
    assert (softmax_backward(np.array([[2.0], [5.0]]), cache)[0] == 0.0).all()


def test_rows_without_scores_stay_empty():
    out, cache = softmax_forward(np.zeros((2, 0)))
    assert out.shape == (2, 0)
    assert softmax_backward(out, cache)[0].shape == (2, 0)


def test_gradient_agrees_with_the_numbers(rng):
    prove_gradients(softmax_forward, softmax_backward, rng.standard_normal((2, 3, 5)))


@given(scores)
def test_gradient_of_a_row_sums_to_0(x):
    _, cache = softmax_forward(x)
    (dx,) = softmax_backward(np.cos(np.arange(x.size)).reshape(x.shape), cache)
    np.testing.assert_allclose(dx.sum(axis=-1), 0.0, atol=1e-14)
