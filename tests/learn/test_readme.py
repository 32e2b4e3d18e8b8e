"""The course's page is true: each kind that it names is one of the exercise's wrong answers."""

import re
from pathlib import Path

import npgpt
from npgpt.cli.learn import COMMANDS
from npgpt.learn.examine import examine
from npgpt.learn.exercise import read_course
from npgpt.learn.words import of_result

PAGE = (Path(npgpt.__file__).parent / "learn" / "README.md").read_text(encoding="utf-8")
COURSE = {exercise.name: exercise for exercise in read_course()}


def test_what_those_from_elsewhere_are_shown_is_named_by_the_exercise():
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if len(row) == 3 and row[0].strip() not in ("there", "command")]
    assert len(rows) > 15
    for _, ours, named in rows:
        names = re.findall(r"`(\w+)`", ours)
        kinds = {wrong["kind"] for name in names for wrong in COURSE[name].about["wrong"]}
        assert {*re.findall(r"`([a-z][\w-]+)`", named)} <= kinds, ours


def test_every_command_is_in_the_table():
    for name in COMMANDS:
        assert f"| `npgpt learn {name}" in PAGE


def test_the_answer_shown_is_the_one_that_is_given():
    softmax = COURSE["softmax"]
    wrong = next(w for w in softmax.about["wrong"] if w["name"] == "the sum's path forgotten")
    lines = list(of_result(examine(softmax, softmax.changed(wrong)), False, False))
    shown = re.search(r"^```\n(softmax: wrong.*?)^```", PAGE, re.M | re.S)
    assert shown is not None and "\n".join(lines).startswith(shown[1].rstrip())


def test_the_page_says_how_many_exercises_there_are():
    assert f"{len(COURSE)} exercises lead" in PAGE
