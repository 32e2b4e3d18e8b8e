"""Statistics against printed tables, closed forms and counts by hand."""

import math
import sys

import pytest

from npgpt.lab.statistics import estimate, holm, sign_flip, t_test

pytest.importorskip("scipy")


@pytest.mark.parametrize("n, quantile", [
    (2, 12.706), (3, 4.303), (4, 3.182), (5, 2.776), (10, 2.262), (31, 2.042)])
def test_intervals_have_the_quantiles_of_printed_t_tables(n, quantile):
    found = estimate([0.0] * (n - 1) + [1.0])
    error = math.sqrt(1 / n) / math.sqrt(n)             # of one 1 among n - 1 zeros
    assert (found.high - found.mean) / error == pytest.approx(quantile, abs=5e-4)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


@pytest.mark.parametrize("differences, p", [
    ([0.0, 1.0], 0.5),                                  # t = 1; Cauchy: P(|T| >= 1) = 1/2
    ([1.0, 2.0], 1 - 2 / math.pi * math.atan(3)),       # t = 3
    ([1.0, 2.0, 3.0], 1 - math.sqrt(12 / 14)),          # t^2 = 12; closed form for 2 degrees
    ([-1.0, 0.0, 1.0], 1.0),
])
def test_the_t_test_has_its_closed_forms(differences, p):
    assert t_test(differences) == pytest.approx(p, abs=1e-12)
    assert t_test([-d for d in differences]) == pytest.approx(p, abs=1e-12)


def test_an_interval_is_the_one_worked_out_by_hand():
    found = estimate([1.0, 2.0, 3.0])
    half = 4.30265273 / math.sqrt(3)                    # deviation 1, t of 2 degrees
    assert found.mean == 2.0 and found.n == 3
    assert found.low == pytest.approx(2 - half) and found.high == pytest.approx(2 + half)
    assert not found.excludes_zero and estimate([1.0, 1.1]).n == 2


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert estimate([5.0]).mean == 5.0 and math.isnan(estimate([5.0]).low)
    assert math.isnan(estimate([]).mean) and estimate([]).n == 0
    assert math.isnan(estimate([1.0, math.nan]).mean)


def test_equal_differences_are_certain_and_without_a_difference_p_is_one():
    assert t_test([1.0, 1.0]) == 0.0
    assert t_test([0.0, 0.0]) == 1.0


@pytest.mark.parametrize("differences", [[], [1.0], [1.0, math.nan], [math.inf, 1.0]])
def test_neither_test_has_a_p_for_one_difference_or_for_one_that_is_not_finite(differences):
    assert math.isnan(t_test(differences)) and math.isnan(sign_flip(differences))


@pytest.mark.parametrize("differences, p", [
    ([1.0, 2.0], 0.5), ([1.0, 2.0, 3.0], 0.25), ([-1.0, 2.0, 3.0], 0.5),
    ([0.1, 0.1, 0.1, 0.1], 0.125), ([1.0, -1.0], 1.0)])
def test_the_sign_flip_test_counts_the_signings(differences, p):
    assert sign_flip(differences) == p


def test_more_differences_than_can_be_counted_are_signed_at_random_and_always_alike():
    differences = [1.0, -0.5] * 15
    p = sign_flip(differences)
    assert p == sign_flip(differences)
    # how many of the 2**30 signings have a sum as far from 0 as theirs, 7.5
    ways = sum(math.comb(15, a) * math.comb(15, b) for a in range(16) for b in range(16)
               if abs((2 * a - 15) + 0.5 * (2 * b - 15)) >= 7.5)
    assert p == pytest.approx(ways / 2**30, abs=0.01)


def test_holm_corrects_as_in_his_example():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    corrected = holm([0.5, math.nan, 0.9])
    assert corrected[0] == 1.0 and math.isnan(corrected[1]) and corrected[2] == 1.0


def test_without_scipy_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match=r"npgpt\[lab\]"):
        estimate([1.0, 2.0])
