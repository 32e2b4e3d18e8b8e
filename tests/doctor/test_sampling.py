import numpy as np
import pytest

from npgpt.doctor.sampling import bisect, few_wrong, sample, wrong_cells

from .pairs import normal


def slope_of(numeric, error=1e-14):
    return lambda v: (float(np.sum(numeric * v)), error)


TRUE = normal(0, 70, 30)


def sampled(given, error=1e-14):
    return sample(given, slope_of(TRUE, error), np.random.default_rng(0))


@pytest.mark.parametrize("error, verdict", [(1e-14, "right"), (1.0, "undecided")])
def test_a_right_gradient_passes_unless_the_numbers_are_too_blunt(error, verdict):
    assert sampled(TRUE, error).verdict(1.0).verdict == verdict


@pytest.mark.parametrize("index", [(0, 0), (69, 29), (33, 8)])
def test_one_wrong_element_is_found(index):
    given = TRUE.copy()
    given[index] += 1e-5
    found = sampled(given)
    assert found.verdict(1.0).verdict == "wrong"
    assert found.worst() == index
    assert found.given[index] - found.at(index)[0] == pytest.approx(1e-5, rel=1e-6)
    fault = few_wrong("x", found, index, np.random.default_rng(1))
    assert fault.kind == "wrong-element" and str(list(index)) in fault.sentence


def test_nan_is_wrong():
    given = TRUE.copy()
    given[5, 5] = np.nan
    assert sampled(given).verdict(1.0).verdict == "wrong"
    assert sampled(given).worst() == (5, 5)


def test_bisection_ends_at_an_element_of_a_single_number():
    assert bisect(np.array(2.0), slope_of(np.array(1.0)), np.array(1.0)) == ()


def test_a_constant_error_cannot_cancel_inside_a_cell():
    analytic = TRUE.copy()
    analytic[:, :2] += 1e-3
    cells = wrong_cells(analytic, slope_of(TRUE), 1e-10)
    assert cells.shape == (6, 16) and cells[:, 0].all() and not cells[:, 1:].any()
