"""The course's page is true: each kind that it names is one of the exercise's wrong answers."""

import re
from pathlib import Path

import npgpt
from npgpt.cli import main
from npgpt.cli.learn import COMMANDS
from npgpt.learn.child import SECONDS
from npgpt.learn.examine import Result, examine
from npgpt.learn.exercise import read_course
from npgpt.learn.grading import Finding
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
    assert shown is not None
    begin, cut, _ = shown[1].partition("   ...\n")
    assert cut and "\n".join(lines).startswith(begin.rstrip())
    assert "npgpt explain missing-term" in "\n".join(lines)


def test_every_kind_is_explained_where_the_answer_says_so_and_nowhere_else(capsys):
    kinds = {wrong["kind"] for exercise in COURSE.values() for wrong in exercise.about["wrong"]}
    for kind in sorted({*kinds, "borrowed", "missing", "too-slow", "raises"}):
        lines = "\n".join(of_result(
            Result("x", "wrong", findings=(Finding(kind, "values", "x"),)), False, False))
        explained = main(["explain", kind]) == 0
        assert (f"npgpt explain {kind}" in lines) == explained, kind


def test_the_seconds_of_a_check_are_those_that_the_page_says():
    assert f"may take {SECONDS} seconds" in PAGE


def test_the_page_says_how_many_exercises_there_are():
    assert f"{len(COURSE)} exercises lead" in PAGE
