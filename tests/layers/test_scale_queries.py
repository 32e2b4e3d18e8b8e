from __future__ import annotations

import numpy as np
import pytest

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.scale_queries import scale_queries_backward, scale_queries_forward


def test_queries_are_scaled_and_keys_and_values_are_not():
    qkv = np.arange(1.0, 7.0).reshape(1, 1, 6)
    out, _ = scale_queries_forward(qkv, factor=0.5)
    np.testing.assert_array_equal(out, [[[0.5, 1, 3, 4, 5, 6]]])
    assert not np.shares_memory(out, qkv)


def test_channels_that_are_not_three_parts_are_rejected():
    with pytest.raises(ValueError, match=r"qkv \(..., 3C\), q, k and v side by side; got qkv"):
        scale_queries_forward(np.zeros((1, 2, 4)), factor=1.0)


def test_gradient_agrees_with_the_numbers(rng):
    prove_gradients(scale_queries_forward, scale_queries_backward,
                    rng.standard_normal((2, 3, 6)), factor=0.3)
