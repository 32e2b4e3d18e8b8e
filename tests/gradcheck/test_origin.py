import numpy as np
import pytest

from npgpt.gradcheck import check

from .pairs import (
    damaged,
    dropout_backward,
    dropout_forward,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
)


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
