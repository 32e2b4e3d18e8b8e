import numpy as np
import pytest

from npgpt.doctor.sampling import bisect, locate, sample, wrong_cells

from .pairs import normal


def slope_of(numeric):
    return lambda v: (float(np.sum(numeric * v)), 1e-14)


TRUE = normal(0, 70, 30)


def verdict(analytic):
    return sample(analytic, slope_of(TRUE), 1.0, np.random.default_rng(0))


def located(analytic):
    result = verdict(analytic)
    assert result.verdict == "wrong"
    return locate(analytic, slope_of(TRUE), result, np.random.default_rng(0))


def test_a_right_gradient_passes():
    assert verdict(TRUE).verdict == "right"


@pytest.mark.parametrize("index", [(0, 0), (69, 29), (33, 8)])
def test_one_wrong_element_is_found(index):
    analytic = TRUE.copy()
    analytic[index] += 1e-5
    result = located(analytic)
    assert result.index == index
    assert result.analytic - result.numeric == pytest.approx(1e-5, rel=1e-6)


@pytest.mark.parametrize("factor", [-1.0, 0.0, 3.0])
def test_a_multiple_is_recognised(factor):
    assert located(factor * TRUE).factor == pytest.approx(factor)


def test_nan_is_wrong():
    analytic = TRUE.copy()
    analytic[5, 5] = np.nan
    assert located(analytic).index == (5, 5)


def test_bisection_ends_at_an_element_of_a_single_number():
    assert bisect(np.array(2.0), slope_of(np.array(1.0)), np.array(1.0)) == ()


def test_a_constant_error_cannot_cancel_inside_a_cell():
    analytic = TRUE.copy()
    analytic[:, :2] += 1e-3
    cells = wrong_cells(analytic, slope_of(TRUE), 1e-10)
    assert cells.shape == (6, 16) and cells[:, 0].all() and not cells[:, 1:].any()


def test_numbers_that_are_too_blunt_leave_it_undecided():
    result = sample(TRUE, lambda v: (float(np.sum(TRUE * v)), 1.0), 1.0, np.random.default_rng(0))
    assert result.verdict == "undecided"
    assert verdict(TRUE).verdict == "right"
