from __future__ import annotations

import hashlib

import numpy as np
import pytest

from npgpt.book.figures import DIFFERENT, ROUNDING, SAME, Figure, TextFigure, write_as


@pytest.mark.parametrize("printed, value, written", [
    ("0.2098", 0.20984, "0.2098"),
    ("1.0000", 0.99996, "1.0000"),
    ("2.", 2.0, "2."),
    ("345", 345.0, "345"),
    ("1,132", 1131.9, "1,132"),
    ("7.4541e-05", 7.45406e-5, "7.4541e-05"),
    ("-inf", -np.inf, "-inf"),
    ("0.0000", -1e-9, "0.0000"),
    ("-0.0001", -1.2e-4, "-0.0001"),
])
def test_a_number_is_written_in_the_digits_printed(printed, value, written):
    assert write_as(printed, value) == written


@pytest.mark.parametrize("printed, computed, verdict", [
    ("0.2098 0.2006", [0.20984, 0.20058], SAME),
    ("1.6754", [1.6754501], ROUNDING),
    ("1.6754", [1.6756], DIFFERENT),
    ("345", [346], DIFFERENT),
    ("1 2\n3 4", np.array([[1, 2], [3, 4]]), SAME),
    ("1 2\n3 4", np.array([[1, 2], [3, 5]]), DIFFERENT),
    ("1 2\n \n3 4", np.array([[1, 2], [3, 5]]), DIFFERENT),
    ("0.5 -inf", [0.5, 0.0], DIFFERENT),
    ("0.5", [np.nan], DIFFERENT),
    ("0.00020173587836325169", [0.00020173593657091260], ROUNDING),
    ("forward", "forward", SAME),
    ("forward", "toward", DIFFERENT),
])
def test_the_verdict_is_the_worst_of_all_numbers(printed, computed, verdict):
    assert Figure("a figure", printed, computed).verdict == verdict


def test_an_empty_line_is_no_row():
    figure = Figure("two equal rows", "\n1 2\n\n  \n1 2\n", [1, 2, 1, 2])
    assert figure.rows() == [(["1", "2"], ["1", "2"], SAME)] * 2


def test_a_text_is_judged_by_its_digest():
    digest = hashlib.sha256("Hello, I am".encode()).hexdigest()[:16]
    assert TextFigure("text", digest, "Hello, I am").verdict == SAME
    assert TextFigure("text", digest, "Hello, I am.").verdict == DIFFERENT


def test_a_figure_with_another_count_of_numbers_is_a_fault():
    with pytest.raises(ValueError, match="2 numbers printed, 3 computed"):
        Figure("a figure", "1 2", [1, 2, 3]).rows()
