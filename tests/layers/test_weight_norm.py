from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.weight_norm import column_norms, weight_norm_backward, weight_norm_forward


def test_every_output_has_the_length_its_gain_says_in_the_direction_of_v(rng):
    v, gain = rng.standard_normal((4, 3)), np.array([2.0, 0.5, -1.0])
    out, _ = weight_norm_forward(v, gain)
    np.testing.assert_allclose(np.linalg.norm(out, axis=0), np.abs(gain), rtol=1e-14)
    for j in range(3):
        np.testing.assert_allclose(out[:, j] / gain[j], v[:, j] / np.linalg.norm(v[:, j]),
                                   rtol=1e-13)


@given(st.floats(1e-3, 1e3), st.integers(0, 99))
def test_the_length_of_v_does_not_matter(size, seed):
    rng = np.random.default_rng(seed)
    v, gain = rng.standard_normal((4, 3)), rng.standard_normal(3)
    out, _ = weight_norm_forward(v, gain)
    np.testing.assert_allclose(weight_norm_forward(size * v, gain)[0], out, rtol=1e-12)


def test_where_the_gain_is_the_length_nothing_changes(rng):
    v = rng.standard_normal((4, 3))
    np.testing.assert_allclose(weight_norm_forward(v, column_norms(v))[0], v, rtol=1e-14)


def test_the_gradient_of_v_has_no_part_along_v(rng):
    v, gain, dout = rng.standard_normal((4, 3)), rng.standard_normal(3), rng.standard_normal((4, 3))
    dv, _ = weight_norm_backward(dout, weight_norm_forward(v, gain)[1])
    np.testing.assert_allclose((dv * v).sum(axis=0), 0, atol=1e-14)


def test_gradients_agree_with_the_numbers(rng):
    v, gain = rng.standard_normal((4, 3)), rng.standard_normal(3)
    prove_gradients(weight_norm_forward, weight_norm_backward, v, gain)
