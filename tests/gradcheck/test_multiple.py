import numpy as np
import pytest

from npgpt.gradcheck.multiple import kind_of, near, plain, times


@pytest.mark.parametrize("c, kind, words", [
    (0.0, "zero-gradient", "is zero"),
    (-1 + 1e-9, "wrong-sign", "has the wrong sign"),
    (2.5, "factor", "is 2.5 times the true one"),
    (1.000001, "factor", "is 1.000001 times the true one"),
])
def test_a_multiple_has_its_kind_and_its_words(c, kind, words):
    assert kind_of(c) == kind and times(c) == words


def test_plain_numbers_are_the_parts_that_people_write():
    for value in (3.0, 0.5, -1 / 3, 0.125, 5 / 6):
        assert near(float(plain(value + 1e-9)), value)
    assert np.allclose(plain(np.array([0.34, 1.01])), [1 / 3, 1.0])
