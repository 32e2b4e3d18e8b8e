"""Numbers of three digits, exact ones, and text that may stand in a page."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from npgpt.view.encoding import POWERS, decoded, encoded, written

pytestmark = pytest.mark.smoke
FLOATS = st.floats(width=32) | st.floats(-1e3, 1e3, width=32)


@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, max_side=5), elements=FLOATS))
def test_three_digits_are_those_of_a_decimal_number(array):
    back = decoded(encoded(array))
    assert back.shape == array.shape
    largest = np.abs(array[np.isfinite(array)]).max(initial=0.0)
    for got, value in zip(back.ravel(), array.ravel().astype(float)):
        if abs(value) < largest * 10.0 ** (1 - POWERS):
            # from so many powers of ten below the largest on, a number may be 0
            assert got == 0.0 or got == pytest.approx(value, rel=5.01e-3)
        elif np.isfinite(value):
            assert got == pytest.approx(float(f"{value:.2e}"), rel=1e-12) or (
                # halfway between two, either counts
                abs(got - value) <= abs(value) * 5.01e-3)
        else:
            assert str(got) == str(value)


@pytest.mark.parametrize("value", [1000.0, 999.6, -0.09996, 1.0, 0.1, 1e-30, -123.4, 999.4])
def test_a_number_at_the_edge_of_a_power_of_ten_is_rounded_like_any_other(value):
    assert decoded(encoded(np.array([value])))[0] == pytest.approx(float(f"{value:.2e}"), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("triangle", [False, True])
def test_exact_numbers_come_back_bit_for_bit(dtype, triangle, rng):
    array = np.tril(rng.standard_normal((3, 5, 5))).astype(dtype)
    array[1, 2, 1] = np.nan
    packed = encoded(array, exact=True, triangle=triangle)
    np.testing.assert_array_equal(decoded(packed), array)


@pytest.mark.parametrize("exact", [False, True])
def test_a_triangle_is_stored_without_what_is_above_the_diagonal(exact, rng):
    array = np.tril(rng.standard_normal((2, 7, 7)))
    whole, half = encoded(array, exact), encoded(array, exact, triangle=True)
    np.testing.assert_allclose(decoded(half), decoded(whole))
    assert len(half["data"]) < 0.65 * len(whole["data"])


@given(st.text() | st.sampled_from(["</script>", "<!--", "a\u2028b\u2029c", "]]>&amp;"]))
def test_written_text_cannot_end_the_script_that_holds_it(text):
    out = written({"text": text})
    assert not set("<>&\u2028\u2029") & set(out)
    assert json.loads(out)["text"] == text


def test_numbers_that_are_not_finite_are_written_as_text():
    out = json.loads(written({"a": [float("nan"), float("inf"), -float("inf"), 1 / 3]}))
    assert out["a"] == ["nan", "inf", "-inf", 0.333333]
