"""The README's picture of the package: every room in one circle, and their lengths."""

import re

import pytest

from benchmarks import circles

pytestmark = pytest.mark.smoke


def test_every_room_is_in_exactly_one_circle():
    rooms = [room for line in circles.CIRCLES.values() for room in line.split()]
    assert len(set(rooms)) == len(rooms)
    there = {path.stem for path in circles.PACKAGE.iterdir()
             if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))}
    assert there - set(rooms) == set()


@pytest.mark.parametrize("circle", circles.CIRCLES)
def test_the_lengths_in_the_readme_are_about_right(circle):
    readme = circles.README.read_text(encoding="utf-8")
    shown = re.search(rf"^ +{circle.strip()} .* ([\d,]+) lines$", readme, re.M)
    assert shown, f"the README has no line for {circle.strip()}"
    assert int(shown[1].replace(",", "")) == pytest.approx(circles.counts()[circle], rel=0.03), \
        "the README's counts are old: run python -m benchmarks.circles --write"


def test_the_picture_names_the_rooms_that_exist(monkeypatch):
    monkeypatch.setitem(circles.CIRCLES, "the tools", "text no_such_room files")
    assert circles.lines("no_such_room") == 0
    line = next(line for line in circles.picture().splitlines() if "the tools" in line)
    assert line.split()[:3] == ["the", "tools", "text"] and line.split()[3][0].isdigit()


def test_every_line_is_counted():
    whole = sum(len(path.read_text(encoding="utf-8").splitlines())
                for path in circles.PACKAGE.rglob("*.py"))
    assert sum(circles.counts().values()) == whole
