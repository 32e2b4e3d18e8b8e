"""Panels as SVG in a page: well-formed, whole, small, and safe whatever a run is called."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from npgpt.display.panels import COLOURS, Line, Panel
from npgpt.display.svg import _DARK, _LIGHT, fragment, whole_page

STEPS = np.arange(1.0, 5001.0)
NASTY = '</title><script>alert("x")</script>&'


def page(name="one"):
    line = Line(name, 0, "a", STEPS, 2 + 3 * np.exp(-STEPS / 400))
    held_out = Line(name, 0, "A", STEPS[::500], line.y[::500], sparse=True)
    panels = [Panel("loss", [line, held_out]), Panel("norm", [Line(name, 0, "a", STEPS, line.y)])]
    return whole_page(name, fragment(panels, [name], 5000.0, [("run", "loss"), (name, "2.0")]))


@pytest.mark.smoke
def test_a_page_needs_nothing_else_and_is_small():
    text = page()
    assert len(text) < 10_000
    assert not re.search(r"https?://|src=|@import|<script|<link", text)
    assert "prefers-color-scheme:dark" in text


def test_a_page_is_well_formed_whatever_a_run_is_called():
    text = page(NASTY)
    assert "<script" not in text
    body = text[text.index("<body>"):text.index("</body>") + 7]
    names = [title.text for title in ET.fromstring(body).iter("title")]
    assert names[0] == NASTY and f"{NASTY}, held out" in names


def test_points_stay_within_the_frame_that_clips_them():
    numbers = [float(y) for path in re.findall(r' d="M([\d., -]+)"', page())
               for y in re.findall(r",(-?[\d.]+)", path)]
    assert len(numbers) > 150 and -30 < min(numbers) and max(numbers) < 270


def test_what_is_not_positive_has_a_place_on_a_logarithmic_scale():
    y = np.geomspace(1e-4, 10, 100)
    y[50] = 0.0
    panel = Panel("norm", [Line("", 0, "a", np.arange(100.0), y)])
    assert "nan" not in fragment([panel], ["x"], 99.0, [("run",), ("x",)])


def test_light_and_dark_have_as_many_colours_as_pictures_have():
    assert len(_LIGHT) == len(_DARK) == len(COLOURS)
