"""Find the fault: three versions, one of them right, and the doctor names the others."""

import re

import pytest

from npgpt.learn.examine import examine
from npgpt.learn.exercise import read_course, read_exercise
from npgpt.learn.fault import answered, of_answer, of_question, question

from .conftest import TOML, write_course


def test_planted_faults_and_the_right_one_are_told_apart_by_the_doctor(double):
    choices = question(double)
    assert [choice.letter for choice in choices] == ["A", "B", "C"]
    assert sum(choice.right for choice in choices) == 1
    assert all("double_backward" in c.shown and "your code" not in c.shown for c in choices)
    right = next(choice.letter for choice in choices if choice.right)
    answer = answered(double, choices, right.lower())
    assert answer.correct and answer.right == right
    kinds = {result.findings[0].kind for result in answer.results.values()}
    assert kinds == {"wrong-sign", "zero-gradient"}
    assert not answered(double, choices, "ABC".replace(right, "")[0]).correct


def test_other_draws_come_from_the_mutants_and_are_the_same_again():
    softmax = next(e for e in read_course() if e.name == "softmax")
    choices = question(softmax, 3)
    assert choices == question(softmax, 3)
    for choice in choices:
        assert (examine(softmax, choice.source).status == "passed") == choice.right
    shown = {choice.shown for choice in choices}
    assert len(shown) == 3


@pytest.mark.parametrize("name, draw", [("softmax", 0), ("gelu", 2), ("layernorm", 2)])
def test_the_lines_that_the_doctor_names_are_those_printed_and_fit_80_columns(name, draw):
    exercise = next(e for e in read_course() if e.name == name)
    choices = question(exercise, draw)
    shown = "\n".join(of_question(exercise, choices, "", False, False))
    said = " ".join("\n".join(of_answer(
        exercise, answered(exercise, choices, "A"), "A", "a sign", "", False)).split())
    named = {*re.findall(r"[lL]ine (\d+) of (\w+)", said)}
    assert named and max(map(len, shown.splitlines())) <= 80 and "Evidence" not in said
    assert "only you judge: a sign Did you name the same: " in said
    for number, function in named:
        above = re.search(rf"^ *{number}  ", shown, re.M)
        assert above is not None and f"def {function}(" in shown[:above.end()]


def test_what_is_drawn_is_a_mistake_in_the_mathematics():
    for name in ("linear", "softmax"):
        exercise = next(e for e in read_course() if e.name == name)
        for draw in (1, 2):
            last = {choice.shown.partition("return")[2] for choice in question(exercise, draw)}
            assert len(last) == 1       # nothing is changed where the results are handed over


@pytest.mark.parametrize("name", ["clipping_schedule", "sampling", "bpe"])
def test_of_a_program_two_wrong_answers_are_drawn(name):
    exercise = next(e for e in read_course() if e.name == name)
    shown = set()
    for draw in (1, 2, 3):
        choices = question(exercise, draw)
        assert [c.source == exercise.solution for c in choices].count(True) == 1
        assert len({choice.shown for choice in choices}) == 3
        shown |= {choice.shown for choice in choices}
    assert len(shown) > 4


def test_without_a_backward_there_is_nothing_to_draw_from(tmp_path):
    toml = TOML[:TOML.index("[[fault]]")]
    from .conftest import GRADE, SOLUTION

    folder = write_course(tmp_path, SOLUTION.replace("_backward", "_back"), toml,
                          GRADE.replace("_backward", "_back"))
    with pytest.raises(ValueError, match="no faults"):
        question(read_exercise(folder / "01_double"))
