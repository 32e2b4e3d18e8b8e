from __future__ import annotations

import numpy as np
import pytest

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.pad_zeros import pad_zeros_backward, pad_zeros_forward


def test_zeros_stand_behind_the_numbers():
    out, _ = pad_zeros_forward(np.array([1.0, 2.0]), size=5)
    np.testing.assert_array_equal(out, [1, 2, 0, 0, 0])


def test_the_zeros_take_no_gradient():
    _, cache = pad_zeros_forward(np.zeros(2), size=5)
    dout = np.arange(1.0, 6.0)
    (dx,) = pad_zeros_backward(dout, cache)
    np.testing.assert_array_equal(dx, [1, 2])
    assert not np.shares_memory(dx, dout)       # whoever adds to dx must not change dout


def test_a_vector_that_fits_already_is_only_copied():
    x = np.array([1.0, 2.0])
    out, _ = pad_zeros_forward(x, size=2)
    np.testing.assert_array_equal(out, x)
    assert not np.shares_memory(out, x)


@pytest.mark.parametrize("shape", [(4,), (1, 2)])
def test_a_vector_that_is_too_long_or_a_matrix_is_rejected(shape):
    with pytest.raises(ValueError, match=r"x \(N,\) with N <= size=3; got x"):
        pad_zeros_forward(np.zeros(shape), size=3)


def test_gradient_agrees_with_the_numbers(rng):
    prove_gradients(pad_zeros_forward, pad_zeros_backward, rng.standard_normal(4), size=9)
