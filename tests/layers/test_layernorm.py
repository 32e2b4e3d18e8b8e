from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.layernorm import layernorm_backward, layernorm_forward

inputs = arrays(
    np.float64,
    array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=6),
    elements=st.floats(-100.0, 100.0),
)


def plain(x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    c = x.shape[-1]
    return layernorm_forward(x, np.ones(c), np.zeros(c), eps=eps)[0]


def test_values_agree_with_a_hand_calculation_with_biased_variance():
    # mean 4, variance (9 + 1 + 1 + 9) / 4 = 5
    out, _ = layernorm_forward(
        np.array([1.0, 3.0, 5.0, 7.0]), np.array([1.0, 1.0, 2.0, 1.0]),
        np.array([0.0, 10.0, 0.0, 0.0]), eps=4.0,
    )
    np.testing.assert_allclose(out, [-1.0, 10 - 1 / 3, 2 / 3, 1.0], rtol=1e-15)


def test_values_agree_with_loops_over_rows(rng):
    x, weight, bias = rng.standard_normal((2, 3, 8)), *rng.standard_normal((2, 8))
    out, _ = layernorm_forward(x, weight, bias)
    for row, got in zip(x.reshape(-1, 8), out.reshape(-1, 8)):
        mean = math.fsum(row) / 8
        var = math.fsum((v - mean) ** 2 for v in row) / 8
        expected = [(v - mean) / math.sqrt(var + 1e-5) * w + b
                    for v, w, b in zip(row, weight, bias)]
        np.testing.assert_allclose(got, expected, rtol=1e-13)


@given(inputs)
def test_rows_have_mean_0_and_variance_1(x):
    assume((x.std(axis=-1) > 0.1).all())
    out = plain(x, eps=1e-12)
    np.testing.assert_allclose(out.mean(axis=-1), 0.0, atol=1e-11)
    np.testing.assert_allclose((out * out).mean(axis=-1), 1.0, rtol=1e-9)


@given(inputs, st.floats(0.5, 100.0), st.floats(-100.0, 100.0))
def test_scaling_and_shifting_the_input_change_nothing(x, scale, shift):
    assume((x.std(axis=-1) > 0.1).all())
    np.testing.assert_allclose(
        plain(x * scale + shift, eps=1e-12), plain(x, eps=1e-12), rtol=1e-8, atol=1e-9
    )


def test_a_row_of_equal_numbers_gives_the_bias_and_a_finite_gradient():
    bias = np.array([1.0, -2.0, 3.0])
    out, cache = layernorm_forward(np.full((2, 3), 7.0), np.ones(3), bias)
    np.testing.assert_array_equal(out, [bias, bias])
    assert all(np.isfinite(g).all() for g in layernorm_backward(np.eye(3)[:2], cache))


@given(inputs)
def test_gradient_of_a_row_neither_shifts_nor_scales_it(x):
    # moving a row along 1 or along xhat leaves the output alone, so dx has no part of either
    assume((x.std(axis=-1) > 0.1).all())
    c = x.shape[-1]
    xhat, cache = layernorm_forward(x, np.ones(c), np.zeros(c), eps=1e-12)
    dx, _, _ = layernorm_backward(np.cos(np.arange(x.size)).reshape(x.shape), cache)
    np.testing.assert_allclose(dx.sum(axis=-1), 0.0, atol=1e-9)
    np.testing.assert_allclose((dx * xhat).sum(axis=-1), 0.0, atol=1e-9)


def test_gradients_agree_with_the_numbers(rng):
    x, weight, bias = rng.standard_normal((2, 3, 8)), *rng.standard_normal((2, 8))
    prove_gradients(layernorm_forward, layernorm_backward, x, weight, bias)
    prove_gradients(layernorm_forward, layernorm_backward, x, weight, bias, eps=0.5)
    prove_gradients(layernorm_forward, layernorm_backward, x[0, 0], weight, bias)
