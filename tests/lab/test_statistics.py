"""Statistics against printed tables, closed forms and counts by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.lab.statistics import (
    estimate,
    holm,
    incomplete_beta,
    paired,
    sign_flip,
    t_quantile,
    t_two_sided,
)


@pytest.mark.parametrize("a, b, x, value", [
    (1, 1, 0.3, 0.3),                                   # the uniform distribution
    (2, 3, 0.5, 11 / 16),                               # 4 coins: at least 2 heads
    (0.5, 0.5, 0.25, 2 / math.pi * math.asin(0.5)),     # the arcsine law
    (5, 1, 0.9, 0.9**5),
    (1, 50, 0.001, 1 - 0.999**50),
    (2, 3, 0.0, 0.0), (2, 3, 1.0, 1.0),
])
def test_the_incomplete_beta_function_has_its_known_values(a, b, x, value):
    assert incomplete_beta(a, b, x) == pytest.approx(value, abs=1e-13)


@given(st.floats(0.1, 60), st.floats(0.1, 60), st.floats(0, 1))
def test_the_incomplete_beta_function_is_symmetric(a, b, x):
    assert incomplete_beta(a, b, x) + incomplete_beta(b, a, 1 - x) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("wrong", [(0, 1, 0.5), (1, -1, 0.5), (1, 1, 1.5), (1, 1, math.nan)])
def test_the_incomplete_beta_function_says_what_does_not_fit(wrong):
    with pytest.raises(ValueError, match="incomplete_beta"):
        incomplete_beta(*wrong)


@pytest.mark.parametrize("degrees, quantile", [
    (1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (1000, 1.962)])
def test_quantiles_are_those_of_printed_t_tables(degrees, quantile):
    assert t_quantile(degrees) == pytest.approx(quantile, abs=5e-4)


@pytest.mark.parametrize("t, degrees, p", [
    (1, 1, 0.5),                                        # Cauchy: P(|T| >= 1) = 1/2
    (3, 1, 1 - 2 / math.pi * math.atan(3)),
    (2, 2, 1 - 2 / math.sqrt(2 + 4)),                   # closed form for 2 degrees
    (0, 7, 1), (math.inf, 3, 0),
])
def test_the_t_test_has_its_closed_forms(t, degrees, p):
    assert t_two_sided(t, degrees) == pytest.approx(p, abs=1e-12)
    assert t_two_sided(-t, degrees) == pytest.approx(p, abs=1e-12)


def test_an_interval_is_the_one_worked_out_by_hand():
    found = estimate([1.0, 2.0, 3.0])
    half = 4.30265273 / math.sqrt(3)                    # deviation 1, t of 2 degrees
    assert found.mean == 2.0 and found.n == 3
    assert found.low == pytest.approx(2 - half) and found.high == pytest.approx(2 + half)
    assert not found.sure_of_sign and estimate([1.0, 1.1]).n == 2


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert estimate([5.0]).mean == 5.0 and math.isnan(estimate([5.0]).low)
    assert math.isnan(estimate([]).mean) and estimate([]).n == 0
    assert math.isnan(estimate([1.0, math.nan]).mean)


def test_pairs_are_compared_by_their_differences():
    found = paired([1.1, 2.3, 3.2], [1.0, 2.0, 3.0])    # differences 0.1, 0.3, 0.2
    assert found.difference.mean == pytest.approx(0.2)
    t = 0.2 / (0.1 / math.sqrt(3))
    assert found.t_test == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert found.sign_flip == 0.25                      # the least that three seeds can give
    with pytest.raises(ValueError, match="one length"):
        paired([1.0], [])


def test_equal_differences_are_certain_and_no_difference_is_none():
    assert paired([2.0, 3.0], [1.0, 2.0]).t_test == 0.0
    assert paired([1.0, 2.0], [1.0, 2.0]).t_test == 1.0
    assert math.isnan(paired([1.0], [2.0]).t_test)


@pytest.mark.parametrize("differences, p", [
    ([1.0], 1.0), ([1.0, 2.0], 0.5), ([1.0, 2.0, 3.0], 0.25), ([-1.0, 2.0, 3.0], 0.5),
    ([0.1, 0.1, 0.1, 0.1], 0.125), ([1.0, -1.0], 1.0)])
def test_the_sign_flip_test_counts_the_signings(differences, p):
    assert sign_flip(differences) == p


def test_the_sign_flip_test_refuses_what_it_cannot_count():
    with pytest.raises(ValueError, match="up to 20"):
        sign_flip([1.0] * 21)


def test_holm_corrects_as_in_his_example():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    corrected = holm([0.5, math.nan, 0.9])
    assert corrected[0] == 1.0 and math.isnan(corrected[1]) and corrected[2] == 1.0
