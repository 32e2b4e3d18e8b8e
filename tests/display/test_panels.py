"""Panels: round scales that hold the lines, and the same lines as characters and as a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.display import drawing
from npgpt.display.panels import COLOURS, Line, Panel, as_figure, as_text, style, ticks

STEPS = np.arange(1.0, 401.0)


def falling(number=0, letter="a"):
    return Line("a run", number, letter, STEPS, 2 + 3 * np.exp(-STEPS / 40))


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_ticks_are_few_and_hold_the_values(low, width):
    high = low + width
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 8 and marks == sorted(set(marks))
    tolerance = 1e-6 * (abs(low) + abs(high))
    assert marks[0] <= low + tolerance and marks[-1] >= high - tolerance


@pytest.mark.parametrize("low, high, marks", [
    (0.0, 0.001, [0.0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001]),
    (1.9, 4.0, [1.5, 2, 2.5, 3, 3.5, 4]),
    (0.0, 0.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]), (2.0, 2.0, [1.0, 1.5, 2.0, 2.5, 3.0]),
])
def test_ticks_are_round_numbers(low, high, marks):
    assert ticks(low, high) == marks


def test_the_fall_at_the_beginning_does_not_squeeze_what_follows():
    marks, log = Panel("loss", [falling()]).scale()
    assert not log and marks[0] <= 2 and 3 < marks[-1] < 5


def test_a_wide_range_has_a_logarithmic_scale_unless_zero_is_on_it():
    line = Line("", 0, "a", STEPS, np.geomspace(1e-3, 40, 400))
    assert Panel("norm", [line]).scale() == ([1e-3, 1e-1, 1e1], True) or (
        Panel("norm", [line]).scale()[1])
    assert Panel("rate", [line], from_zero=True).scale()[1] is False


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_left_out(bad):
    y = np.array([3.0, bad, 2.0, bad])
    line = Line("", 0, "a", np.arange(4.0), y)
    assert line.finite()[1].tolist() == [3.0, 2.0]
    marks, _ = Panel("loss", [line]).scale()
    assert np.isfinite(marks).all() and marks[-1] < 10


def test_thinning_keeps_the_mean_and_few_points_as_they_are():
    line = falling()
    x, y = line.thinned(50)
    assert len(x) == 50 and abs(y.mean() - line.y.mean()) < 1e-12
    assert (np.diff(x) > 0).all()
    assert line.thinned(400)[1] is not None and (line.thinned(400)[1] == line.y).all()


@pytest.mark.smoke
@pytest.mark.parametrize("width", [40, 60, 80])
def test_charts_are_as_wide_as_asked_and_small_ones_stand_in_a_row_where_there_is_room(width):
    panels = [Panel(title, [falling()]) for title in ("loss", "rate", "norm", "speed")]
    lines = as_text(panels, 400.0, width=width)
    assert max(map(len, lines)) <= width
    in_a_row = [line for line in lines if "rate" in line and "norm" in line]
    assert len(in_a_row) == (width == 80)


def test_a_sparse_line_stands_in_front():
    dense = falling()
    sparse = Line("", 0, "o", dense.x[::10], dense.y[::10], sparse=True)
    text = "".join(as_text([Panel("", [dense, sparse])], 400.0))
    assert text.count("o") > text.count("a")


def test_a_panel_of_nothing_finite_is_drawn_empty():
    panel = Panel("loss", [Line("", 0, "x", STEPS, np.full(400, np.nan))])
    assert "x" not in "".join(as_text([panel], 400.0))


def test_a_figure_has_a_panel_for_each_and_names_every_run(tmp_path):
    pytest.importorskip("matplotlib")
    panels = [Panel(title, [falling(0), falling(1)]) for title in ("loss", "rate", "norm")]
    figure = as_figure(panels, ["one", "two"], 400.0)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["loss", "rate", "norm"]
    assert not figure.axes[3].get_visible()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    drawing.save(figure, tmp_path / "x.svg")


def test_more_runs_than_colours_are_dashed():
    styles = [style(n) for n in range(3 * len(COLOURS))]
    assert len({(colour, str(dash)) for colour, dash in styles}) == len(styles)
