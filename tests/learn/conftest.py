"""A course of one small exercise, and a learner's folder."""

from __future__ import annotations

import pytest

from npgpt.learn.exercise import read_exercise

SOLUTION = '''\
"""Double

difficulty: 1/5  importance: 2/5  about 5 minutes (estimated)

Twice x, and its gradient.
"""

import numpy as np

from npgpt.learn import NotBegun


def double_forward(x):
    """Give 2 x and a cache."""
    # ---- your code: begins here ----
    out = 2 * x
    # ---- your code: ends here ----
    return out, None


def double_backward(dout, cache):
    """Give (dx,)."""
    # the gradient of doubling
    # ---- your code: begins here ----
    dx = 2 * dout
    # ---- your code: ends here ----
    return (dx,)


if __name__ == "__main__":
    print(double_forward(np.ones(2))[0])
'''
TOML = '''\
title = "Double"
goal = "twice x"
find = ["twice"]
hints = ["What is x + x?", "What is d(2x)/dx?", "Which factor did forward have?"]
after = "A linear map is its own derivative."

[[wrong]]
name = "the factor forgotten"
replace = "dx = 2 * dout"
by = "dx = dout"
kind = "factor"
says = "0.5"
breaks = "It learns at half the rate."

[[fault]]
replace = "dx = 2 * dout"
by = "dx = -2 * dout"
kind = "wrong-sign"

[[fault]]
replace = "dx = 2 * dout"
by = "dx = 0 * dout"
kind = "zero-gradient"
'''
GRADE = '''\
def grade(mine, g):
    x = g.normal(2, 3)
    g.values(lambda x: 2 * x, mine.double_forward, x, axes="B C")
    g.gradient(mine.double_forward, mine.double_backward, x)
    g.probe("one-row", "a batch of 1 works", lambda: mine.double_forward(x[:1])[0].shape == (1, 3))
'''


def write_course(folder, solution=SOLUTION, toml=TOML, grade=GRADE):
    """A course's folder with the exercise `double`."""
    place = folder / "01_double"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in (("exercise.py", solution), ("exercise.toml", toml), ("grade.py", grade)):
        (place / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def course(tmp_path):
    return write_course(tmp_path / "course")


@pytest.fixture
def double(course):
    return read_exercise(course / "01_double")
