import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.ids import check_ids, check_integer, check_integers, check_number


@pytest.mark.parametrize("ids", [
    [0, 10], (10,), [[1], [2]], [np.int64(3)], np.array([[3]], np.uint8), np.array([1], object),
])
def test_ids_within_the_vocabulary_come_out_as_int64(ids):
    checked = check_ids(ids, 11)
    assert checked.dtype == np.int64
    np.testing.assert_array_equal(checked, np.asarray(ids, np.int64))


@pytest.mark.parametrize("ids, says", [
    ([11], r"^prompt: 11 is outside the vocabulary \[0, 11\)$"),
    ([3, -1], r"-1 is outside"),
    ([2**70], "is outside"),
    ([], "at least one"),
    ([1.0], r"must be integers; got 1.0 \(float\)"),
    (np.array([1.7]), "must be integers; got float64 such as"),
    ([5, True], r"got True \(bool\)"),
    ([[1, 2], [3]], "different lengths"),
    ("abc", "must be integers"),
    (None, "must be integers"),
])
def test_anything_else_is_rejected_by_name(ids, says):
    with pytest.raises(ValueError, match=says):
        check_ids(ids, 11, what="prompt")


def test_integers_beyond_64_bits_stay_pythons():
    assert check_integers([2**70], "x").tolist() == [2**70]


@given(st.integers(-5, 5), st.integers(-5, 5), st.none() | st.integers(-5, 5))
def test_an_integer_within_its_bounds_comes_back(value, least, most):
    if least <= value and (most is None or value <= most):
        assert check_integer("n", value, least, most) == value
        assert type(check_integer("n", np.int32(value), least, most)) is int
    else:
        with pytest.raises(ValueError, match=f"^n={value} must be an integer"):
            check_integer("n", value, least, most)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], np.float32(1), np.array([1, 2])])
def test_what_only_looks_like_an_integer_is_none(value):
    with pytest.raises(ValueError, match="must be an integer of at least 1$"):
        check_integer("n", value, 1)


def test_numbers_are_floats_and_what_else_is_named():
    assert check_number("rate", 1) == 1.0 and check_number("rate", 0.5) == 0.5
    for value in (True, "0.5", None, 10**400):
        with pytest.raises(ValueError, match="^rate="):
            check_number("rate", value)
