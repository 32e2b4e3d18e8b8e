from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.book.fused import fused_multiply_add

NUMBERS = {
    np.float32: st.floats(-100, 100, width=32, allow_subnormal=False),
    np.float64: st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-100),
}


def correctly_rounded(exact: Fraction, dtype: type) -> np.floating:
    """The number of the dtype nearest to a fraction."""
    near = dtype(float(exact))
    candidates = [near, np.nextafter(near, dtype(np.inf)), np.nextafter(near, dtype(-np.inf))]
    return min(candidates, key=lambda c: abs(Fraction(float(c)) - exact))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_the_result_is_the_exact_one_rounded_once(dtype, data):
    a, b, c = (np.array([data.draw(NUMBERS[dtype])], dtype) for _ in range(3))
    exact = Fraction(float(a[0])) * Fraction(float(b[0])) + Fraction(float(c[0]))
    got = fused_multiply_add(a, b, c)[0]
    assert got.dtype == dtype
    assert abs(Fraction(float(got)) - exact) <= abs(
        Fraction(float(correctly_rounded(exact, dtype))) - exact) * Fraction(1000001, 1000000)


@pytest.mark.parametrize("dtype, bits", [(np.float32, 24), (np.float64, 53)])
def test_two_roundings_would_lose_what_one_keeps(dtype, bits):
    a = np.array([1 + 2.0 ** (1 - bits)], dtype)
    product = a * a             # rounded: the square's last bit is lost
    assert fused_multiply_add(a, a, -product)[0] == 2.0 ** (2 - 2 * bits)
