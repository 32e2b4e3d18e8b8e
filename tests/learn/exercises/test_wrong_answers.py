"""Wrong answers that no exercise lists are named all the same, and what is no answer is found."""

import tomllib
from pathlib import Path

import pytest

from npgpt.learn.examine import WRONG, examine
from npgpt.learn.exercise import read_course

COURSE = {exercise.name: exercise for exercise in read_course()}
UNLISTED = tomllib.loads(
    (Path(__file__).parent / "unlisted.toml").read_text(encoding="utf-8"))["wrong"]


@pytest.mark.parametrize("wrong", UNLISTED, ids=[w["exercise"] + ": " + w["by"] for w in UNLISTED])
def test_a_wrong_answer_that_is_not_listed_is_named(wrong):
    exercise = COURSE[wrong["exercise"]]
    result = examine(exercise, exercise.changed(wrong))
    assert [finding.kind for finding in result.findings] == [wrong["kind"]]


@pytest.mark.parametrize("name, function", [
    ("difference", "numeric_gradient"), ("broadcast", "add_backward"), ("linear", "linear_forward"),
    ("softmax", "softmax_backward"), ("cross_entropy", "cross_entropy_forward"),
    ("gelu", "gelu_backward"), ("layernorm", "layernorm_forward"),
])
@pytest.mark.parametrize("body", [
    "return None", "return {}", "raise KeyError(1)", "return np.ones(2) * 1j",
    "return (n for n in [1])",
])
def test_what_is_no_answer_at_all_is_a_finding(name, function, body):
    exercise = COURSE[name]
    source = exercise.solution.replace(
        "\nif __name__", f"\ndef {function}(*arrays, **settings):\n    {body}\n\n\nif __name__")
    assert examine(exercise, source).status == WRONG
