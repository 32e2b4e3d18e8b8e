"""Every number that a story or a wrong answer's text states is true."""

import math

import numpy as np
import pytest

from npgpt.budget import count_parameters
from npgpt.config import GPT2Config
from npgpt.layers.gelu import gelu_exact_forward, gelu_forward
from npgpt.layers.softmax import softmax_forward
from npgpt.learn.exercise import read_course

COURSE = {exercise.name: exercise for exercise in read_course()}
GPT2 = GPT2Config.named("gpt2")


def forms_of_gelu_differ_by():
    x = np.linspace(-6, 6, 1201)
    return np.abs(gelu_forward(x)[0] - gelu_exact_forward(x)[0]).max()


@pytest.mark.parametrize("name, words, holds", [
    ("difference", "more than a hundred\nmillion", 1e8 < count_parameters(GPT2) < 2e8),
    ("difference", "sixteen digits", np.finfo(float).precision in (15, 16)),
    ("softmax", "out       0.09  0.24  0.67", softmax_forward(
        np.array([1.0, 2.0, 3.0]))[0].round(2).tolist() == [0.09, 0.24, 0.67]),
    ("cross_entropy", "one chance in a thousand costs\nabout 7", round(math.log(1000)) == 7),
    ("gelu", "less than a thousandth", forms_of_gelu_differ_by() < 1e-3),
])
def test_a_number_of_a_story_is_true(name, words, holds):
    assert words in COURSE[name].story and holds


@pytest.mark.parametrize("name, words, holds", [
    ("tape", "never smaller than 0.4", 0.4 < 1 - math.tanh(1) ** 2),
    ("tape", "twelve blocks there are 2^24 paths", 2 * GPT2.n_layer == 24),
    ("gelu", "agree to three digits", 1e-4 < forms_of_gelu_differ_by() < 1e-3),
    ("gelu", "a quarter too strong", round(math.sqrt(math.pi / 2), 2) == 1.25),
])
def test_a_number_beside_a_wrong_answer_is_true(name, words, holds):
    assert any(words in wrong["breaks"] for wrong in COURSE[name].about["wrong"]) and holds


@pytest.mark.parametrize("exercise", COURSE.values(), ids=COURSE)
def test_every_exercise_has_one_form_and_fits_a_terminal(exercise):
    assert max(map(len, exercise.solution.splitlines())) <= 80
    assert len(exercise.about["title"]) <= 28
    lines = exercise.story.splitlines()
    headings = [line for line in lines[1:] if line.isupper() and line.isalpha()]
    assert headings in (["STORY", "MATHEMATICS", "SHAPES"], ["STORY", "SHAPES"])
    for before, line in zip(lines, lines[1:]):      # Markdown's blocks begin after a blank line
        assert not line.startswith("    ") or before.startswith("    ") or not before.strip()
