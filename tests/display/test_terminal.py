"""Charts and numbers made of characters."""

import re

import numpy as np
import pytest

from npgpt.display.terminal import (
    Curve,
    bar,
    beside,
    bytes_text,
    chart,
    count_text,
    duration,
    tint,
    wrapped,
)

pytestmark = pytest.mark.smoke

X = np.linspace(0.0, 10.0, 50)


def test_a_chart_has_its_width_and_puts_points_where_they_belong():
    lines = chart("title", [Curve("*", "blue", X, X)], (0, 5, 10), width=40, height=11)
    assert {len(line) for line in lines} == {40}
    rows = lines[1:12]
    assert rows[0].startswith("     10 |") and rows[5].startswith("      5 |")
    assert rows[0].endswith("*") and rows[-1][9] == "*"
    assert lines[-1].split() == ["0", "5", "10"]


def test_long_labels_keep_the_width_and_the_axis_straight():
    lines = chart("", [Curve("*", "blue", X, X)], (-0.00025, 10), width=40, height=5)
    assert {len(line) for line in lines} == {40}
    assert {line.index("|") for line in lines[1:6]} == {9}


def test_a_logarithmic_chart_spaces_decades_evenly_and_leaves_zeros_out():
    y = np.array([1.0, 1e-2, 0.0, 1e-4])
    lines = chart("", [Curve("*", "blue", np.arange(4.0), y)], (1e-4, 1e-2, 1), width=30, height=5,
                  log=True)
    rows = [row[9:] for row in lines[1:6]]
    assert rows[0][0] == "*" and rows[4][-1] == "*" and "*" in rows[2]
    assert lines[3].startswith("   0.01 |")


def test_a_chart_of_nothing_positive_is_empty():
    lines = chart("", [Curve("*", "blue", X, 0 * X)], (0.1, 1), width=30, log=True)
    assert "*" not in "".join(lines)


def test_colour_changes_nothing_but_the_colour():
    settings = {"width": 39, "height": 9}
    curves = [Curve("a", "blue", X, X), Curve("b", "orange", X, 10 - X)]
    plain = chart("t", curves, (0, 10), **settings)
    coloured = chart("t", curves, (0, 10), colour=True, **settings)
    assert coloured != plain
    assert [re.sub(r"\033\[[\d;]*m", "", line) for line in coloured] == plain
    assert tint("x", "blue", False) == "x" and tint("", "blue", True) == ""


def test_blocks_beside_each_other_need_equal_heights():
    assert beside(["a ", "b "], ["c", ""]) == ["a   c", "b"]
    with pytest.raises(ValueError):
        beside(["a"], ["b", "c"])


@pytest.mark.parametrize("n, text", [
    (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (15 * 2**20, "15.0 MiB"),
    (474.7 * 2**20, "475 MiB"), (5e15, "4547 TiB"),
])
def test_bytes_have_three_digits_and_a_unit(n, text):
    assert bytes_text(n) == text


@pytest.mark.parametrize("n, text", [
    (0, "0"), (999, "999"), (1000, "1.00 k"), (1.24e6, "1.24 M"), (32e9, "32.0 G"),
    (5e15, "5000 T"),
])
def test_counts_have_three_digits_and_a_unit(n, text):
    assert count_text(n) == text


@pytest.mark.parametrize("seconds, text", [
    (42, "42 s"), (200, "3.3 min"), (5400, "1 h 30 min"), (90061, "25 h 1 min")])
def test_durations_are_in_a_unit_that_suits_them(seconds, text):
    assert duration(seconds) == text


def test_charts_may_share_an_axis_that_is_longer_than_a_curve():
    lines = chart("", [Curve("*", "blue", X, X)], (0, 10), width=40, height=5, span=(0.0, 20.0))
    assert max(line.rstrip().rfind("*") for line in lines) == 9 + 15
    assert lines[-1].split() == ["0", "10", "20"]


def test_a_bar_shows_that_something_is_there():
    assert [bar(fraction, 4) for fraction in (0, 0.001, 0.5, 1)] == ["    ", ".   ", "##  ", "####"]


def test_long_texts_are_broken_at_80_columns():
    assert max(map(len, wrapped("word " * 60).splitlines())) <= 80
