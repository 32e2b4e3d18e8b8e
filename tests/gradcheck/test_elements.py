import numpy as np
import pytest

from npgpt.gradcheck import check
from npgpt.gradcheck.elements import common_ratio

from .pairs import damaged, linear_backward, linear_forward, linear_inputs, normal


def linear(damage):
    """The findings of a linear layer whose gradients went through `damage`."""
    return check(linear_forward, damaged(linear_backward, damage), *linear_inputs()).findings


@pytest.mark.parametrize("change, words", [
    (lambda v: v * (1 + 1e-6), "1.000001 times"),
    (lambda v: 0.0, "is zero"),
    (lambda v: -v, "wrong sign"),
    (lambda v: v + 0.5, "0.5 added to it, whatever dout is"),
    (lambda v: 3.0, "is 3, whatever dout is"),
])
def test_one_wrong_element_is_told_with_its_place_and_how_it_is_wrong(change, words):
    def damage(dx, dw, db):
        dw = dw.copy()
        dw[2, 1] = change(dw[2, 1])
        return dx, dw, db

    found = linear(damage)
    assert [f.kind for f in found][-1] in ("wrong-element", "extra-term")
    assert found[-1].index == (2, 1)
    if found[-1].kind == "wrong-element":
        assert "[2, 1]" in found[-1].message and words in found[-1].message
        assert "the other 19 are right" in found[-1].evidence


@pytest.mark.parametrize("added, words", [
    (1e-3, "0.001. Every term"),
    (np.eye(4, 5), "at [0, 0]"),
    (np.arange(20.0).reshape(4, 5), "a term"),
])
def test_a_term_without_dout_is_an_extra_term(added, words):
    found = linear(lambda dx, dw, db: (dx, dw + added, db))
    assert [f.kind for f in found] == ["extra-term"]
    assert words in found[0].message
    assert "dout of zeros" in found[0].evidence


def test_the_ratio_that_most_elements_share_is_found_among_strangers():
    numeric = normal(0, 3, 20)
    analytic = -2.5 * numeric
    analytic[:, 3:7] = normal(1, 3, 4)
    assert common_ratio(analytic, numeric) == pytest.approx(-2.5, rel=1e-9)
    assert common_ratio(normal(2, 3, 20), numeric) is None


def test_an_element_beyond_the_grasp_of_the_numbers_is_not_called_wrong():
    def backward(dout, x):
        return (dout / (2 * np.sqrt(x)) * np.array([1, 1.001, 1]),)

    report = check(lambda x: (np.sqrt(np.abs(x)), x), backward, np.array([2e-3, 0.5, 3.0]))
    assert report.kinds == ["wrong-element"]
    assert "[1] is 1.001 times" in report.findings[0].message
