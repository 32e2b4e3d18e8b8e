from __future__ import annotations

import numpy as np
import pytest

from npgpt import Tape
from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.residual import residual_backward, residual_forward
from npgpt.ops import TEXTBOOK as ops


def test_it_adds():
    out, _ = residual_forward(np.array([1.0, 2.0]), np.array([10.0, 20.0]))
    np.testing.assert_array_equal(out, [11.0, 22.0])


def test_both_ways_get_the_whole_gradient(rng):
    prove_gradients(
        residual_forward, residual_backward,
        rng.standard_normal((2, 3, 8)), rng.standard_normal((2, 3, 8)),
    )


def test_shapes_that_would_broadcast_are_rejected():
    with pytest.raises(ValueError, match=r"got x \(2, 3\), branch \(3,\)"):
        residual_forward(np.zeros((2, 3)), np.zeros(3))


def test_one_gradient_array_going_two_ways_is_not_spoilt_by_either():
    # x goes on as it is, through a branch, and once more: dx = dout * (1 + 3 + 1)
    tape = Tape()
    x, weight = tape.watch(np.array([[1.0, 2.0]])), tape.watch(3.0 * np.eye(2))
    first = ops.residual(x, ops.linear(x, weight, None))
    second = ops.residual(first, x)
    dout = np.array([[1.0, -1.0]])
    grads = tape.backward(second, dout)
    np.testing.assert_array_equal(grads[x], [[5.0, -5.0]])
    np.testing.assert_array_equal(dout, [[1.0, -1.0]])
