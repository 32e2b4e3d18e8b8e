"""Matrices with names, as text and as a picture."""

import numpy as np
import pytest

from npgpt.display.grids import LABEL, MOST_COLUMNS, draw_grid, fit, grid, number, visible, width_of


def test_a_grid_has_a_line_a_row_under_names_and_fits_80_columns():
    array = np.array([[1.0, -np.inf], [-0.001, np.nan]])
    head, *lines = grid(array, ["first", "a very long name"], ["left", "a longer one"])
    assert head.split() == ["left", "a", "long"] or head.endswith(" a longe")
    assert [line[LABEL:].split() for line in lines] == [["1.00", "-inf"], ["0.00", "nan"]]
    assert lines[1].startswith("a very lon")
    widest = grid(np.ones((1, MOST_COLUMNS)), ["x"], ["wide name"] * MOST_COLUMNS)
    assert {len(line) for line in widest} <= set(range(81))


def test_marked_elements_stand_out_in_colour_only():
    array = np.array([[1.0, 2.0]])
    (line,) = grid(array, ["x"], marked=array > 1, colour=True)
    assert line.count("\033[0m") == 1 and line.index("\033") > line.index("1.00")
    assert "\033" not in grid(array, ["x"], marked=array > 1)[0]


@pytest.mark.parametrize("token, shown", [
    (" the\n", "␣the↵"), (b" caf\xc3\xa9", "␣café"), (b"\xc3", "\\xc3"), ("\t", "\\t"),
    ("\x1b[2J", "\\x1b[2J"),
])
def test_what_cannot_be_seen_in_a_token_is_shown_by_a_sign(token, shown):
    assert visible(token) == shown


def test_wide_and_combining_characters_take_their_columns():
    assert (width_of("猫で"), width_of("e\u0301")) == (4, 1)
    assert fit("猫です", 5) == "猫で " and fit("猫", 4, right=True) == "  猫"


def test_a_zero_has_no_sign():
    assert (number(-0.001), number(-0.0), number(-np.inf)) == ("0.00", "0.00", "-inf")


@pytest.mark.parametrize("array", [
    np.zeros((2, 3)), np.full((1, 2), np.nan), np.arange(300.0).reshape(10, 30) - 9,
    np.array([[1.0, -np.inf]]),
])
def test_any_matrix_can_be_drawn(array, tmp_path):
    pytest.importorskip("matplotlib")
    from npgpt.display.drawing import new_figure, save

    figure = new_figure(1, 1, (4, 3))
    draw_grid(figure.axes[0], array, ["$a"] * len(array), ["b"] * array.shape[1], "a $ title")
    save(figure, tmp_path / "g.png")
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
