"""The forty-line check: right pairs pass, and each wrong one is caught by name."""

import numpy as np
import pytest

from npgpt.gradcheck.proof import complex_step_gradient, prove_gradients

pytestmark = pytest.mark.smoke
X, W = (np.random.default_rng(s).standard_normal(shape) for s, shape in ((0, (3, 4)), (1, (4, 2))))


def matmul_forward(x, w, ids=None):
    return x @ w, (x, w)


def matmul_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout


def test_a_right_pair_passes():
    prove_gradients(matmul_forward, matmul_backward, X, W)


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("spoil", [lambda g: -g, lambda g: 0 * g, lambda g: g * (1 + 1e-11)])
def test_a_wrong_gradient_is_caught_with_its_position(spoil, position):
    def wrong(dout, cache):
        gradients = list(matmul_backward(dout, cache))
        gradients[position] = spoil(gradients[position])
        return tuple(gradients)

    with pytest.raises(AssertionError, match=f"input {position}: relative error"):
        prove_gradients(matmul_forward, wrong, X, W)


def test_an_input_without_a_gradient_gets_none():
    ids = np.array([1, 2])

    def backward(dout, cache):
        return (*matmul_backward(dout, cache), None)

    prove_gradients(matmul_forward, backward, X, W, ids)
    with pytest.raises(AssertionError, match="input 2 has no gradient"):
        prove_gradients(matmul_forward, lambda d, c: (*backward(d, c)[:2], ids), X, W, ids)


def test_the_derivative_of_a_matmul_is_exact_to_the_last_digits():
    dout = np.random.default_rng(2).standard_normal((3, 2))
    numeric = complex_step_gradient(lambda x: x @ W, X, dout)
    np.testing.assert_allclose(numeric, dout @ W.T, rtol=1e-14)


def test_a_forward_that_loses_the_imaginary_part_is_named_as_a_possible_reason():
    with pytest.raises(AssertionError, match="as np.abs, lose the imaginary part"):
        prove_gradients(lambda x: (np.abs(x), np.sign(x)), lambda d, s: (d * s,), X)
