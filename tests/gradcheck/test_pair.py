"""Inputs become arrays, and functions name them."""

import numpy as np
import pytest

from npgpt.gradcheck.pair import ContractError, as_array, describe, names_of, to_numpy

pytestmark = pytest.mark.smoke


def scale_forward(x, factor, mask=None, *, power=1):
    return x * factor**power, (x, factor)


def test_names_are_the_functions_own():
    assert names_of(scale_forward, 2) == ["x", "factor"]
    assert names_of(lambda *arrays: arrays, 2) == ["arrays", "x1"]
    assert names_of(dict, 2) == ["x0", "x1"]


@pytest.mark.parametrize("value", [np.ones(2) * 1j, np.array(["a"]), {"a": 1}])
def test_what_is_not_an_array_of_real_numbers_is_rejected(value):
    with pytest.raises(ContractError, match="expected floats"):
        as_array(value)


def test_rows_of_several_lengths_are_no_array():
    with pytest.raises(ContractError, match="got a list of 2 of several shapes"):
        to_numpy([[1.0], [2.0, 3.0]])


def test_descriptions_fit_a_sentence():
    assert describe(np.ones((2, 3))) == "an array of shape (2, 3) and dtype float64"
    assert describe({"a": 1}) == "a dict of 1"
    assert describe(None) == "None"
    assert describe(3.0) == "a value of type float"
