import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.multiple import kind_of, near, plain, times

from .pairs import (
    damaged,
    dropout_backward,
    dropout_forward,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
)


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


def named(forward, backward, damage, *inputs, **settings):
    """The findings of a pair whose gradients went through `damage`, which has no source to read."""
    return check(forward, damaged(backward, damage), *inputs, **settings).findings


def linear(damage):
    return named(linear_forward, linear_backward, damage, *linear_inputs())


@pytest.mark.parametrize("factor, words", [
    (5.0, "5, the size of axis 2 of out"),
    (1 / 3, "one over 3"),
    (np.sqrt(5), "the root of 5"),
    (2.0, "batch"),
])
def test_the_source_of_a_factor_is_told(factor, words):
    found = linear(lambda dx, dw, db: (factor * dx, dw, db))
    assert found[0].kind == "factor"
    assert words in found[0].message


def test_a_setting_can_be_the_source_of_a_factor():
    found = named(
        dropout_forward, dropout_backward, lambda dx: (dx / 0.7,), normal(0, 3, 4), rate=0.3,
        rng=np.random.default_rng(0))
    assert "one over 1 - rate" in found[0].message


def test_all_sizes_that_fit_a_factor_are_told_and_the_doubt_is_said():
    found = named(
        linear_forward, linear_backward, lambda dx, dw, db: (2 * dx, dw, db),
        normal(0, 2, 3, 4), normal(1, 4, 5), normal(2, 5))
    message = found[0].message
    assert "added twice" in message and "the batch" in message and "root of 4" in message
    assert "cannot tell which" in message


def test_a_factor_with_one_source_is_told_without_doubt():
    found = linear(lambda dx, dw, db: (dx, dw * 30, db))
    assert "true one: that is the number of elements of out (2, 3, 5)." in found[0].message
    found = linear(lambda dx, dw, db: (dx, 1.25 * dw, db))
    assert found[0].message.endswith("1.25 times the true one.")
