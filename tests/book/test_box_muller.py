from __future__ import annotations

import numpy as np
import pytest

from npgpt.book.box_muller import BLOCK, normals_from_uniforms


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-6), (np.float64, 1e-15)])
def test_the_polynomials_are_logarithm_sine_and_cosine(dtype, tolerance):
    uniforms = np.random.default_rng(0).random(BLOCK + 48).astype(dtype)
    uniforms[:16] = 0                   # the ends of the range: ln 1, and angle 0
    uniforms[16:32] = np.nextafter(dtype(1), dtype(0))
    rows = uniforms.astype(np.float64).reshape(-1, 16)
    radius, angle = np.sqrt(-2 * np.log(1 - rows[:, :8])), 2 * np.pi * rows[:, 8:]
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    got = normals_from_uniforms(uniforms)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected.ravel(), rtol=0, atol=tolerance * 10)


def test_uniform_numbers_that_do_not_come_in_sixteens_are_rejected():
    with pytest.raises(ValueError, match=r"\(17,\)"):
        normals_from_uniforms(np.zeros(17, np.float32))
