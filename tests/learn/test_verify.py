"""The author's check proves each claim, and says which does not hold."""

import hashlib
import os

import pytest

from npgpt.learn.exercise import read_course
from npgpt.learn.verify import verify

from .conftest import GRADE, SOLUTION, TOML, write_course

# of npgpt's own wrong answers some are tried here, all where it may take minutes
SOME = 1 if os.environ.get("NPGPT_WHOLE_COURSE") else 12


def problems(folder):
    return {trial.claim: trial.problem for trial in verify(read_course(folder)) if trial.problem}


def test_a_sound_course_has_no_problem(course):
    assert problems(course) == {}
    assert len(list(verify(read_course(course)))) == 12


@pytest.mark.parametrize("change, claim, words", [
    ({"toml": TOML.replace('kind = "factor"', 'kind = "wrong-sign"')},
     "wrong answer: the factor forgotten", "expected wrong-sign, got factor"),
    ({"toml": TOML.replace('says = "0.5"', 'says = ["0.5", "a banana"]')},
     "wrong answer: the factor forgotten", "does not say 'a banana'"),
    ({"toml": TOML.replace('by = "dx = dout"', 'by = "dx = dout + dout"')},
     "wrong answer: the factor forgotten", "status is 'passed'"),
    ({"toml": TOML.replace('replace = "dx = 2 * dout"\nby = "dx = dout"',
                           'replace = "dy"\nby = "dx"')},
     "wrong answer: the factor forgotten", "occurs 0 times"),
    ({"toml": TOML + '\n[[right]]\nname = "a sum"\nreplace = "dx = 2 * dout"\nby = "dx = dout"\n'},
     "another form passes: a sum", "factor"),
    ({"toml": TOML.replace("What is x + x?", "Write dx = 2 * dout.")},
     "three hints, which hold no line of the solution", "a hint holds 'dx = 2 * dout'"),
    ({"toml": TOML.replace(', "Which factor did forward have?"', "")},
     "three hints, which hold no line of the solution", "there are 2"),
    ({"toml": TOML.replace("after = ", "# ")}, "a pass says one thing worth knowing", "after"),
    ({"solution": SOLUTION.replace("    print(double", "    (double")},
     "the solution runs alone", "printed nothing"),
    ({"solution": SOLUTION.replace("    print(double_forward(np.ones(2))[0])", "    print(1)")},
     "the stub runs alone, and says what is not begun", "to its end"),
    ({"solution": SOLUTION.replace("dx = 2 * dout", "dx = 3 * dout"),
      "toml": TOML.replace("dx = 2", "dx = 3")}, "the solution passes", "factor"),
    ({"grade": "def grade(mine, g):\n    pass\n"}, "the stub fails as not begun", "'passed'"),
    ({"grade": GRADE + "\n\ndef after():\n    return 1 / 0\n"},
     "a pass says one thing worth knowing", "ZeroDivisionError"),
    ({"solution": SOLUTION.replace("difficulty", "hard")},
     "it says how hard, important and long it is", "CourseError"),
])
def test_a_claim_that_does_not_hold_is_named(tmp_path, change, claim, words):
    assert words in problems(write_course(tmp_path, **change))[claim]


def test_two_of_one_name_are_named(course):
    (course / "01_double").rename(course / "02_double")
    write_course(course)
    assert problems(course) == {"its name is its own": "another has the same"}


def taken(claim):
    wrong = claim.startswith("wrong answer")
    return not wrong or hashlib.sha256(claim.encode()).digest()[0] % SOME == 0


@pytest.mark.parametrize("exercise", read_course(), ids=lambda exercise: exercise.name)
def test_npgpts_own_exercises_are_what_they_claim(exercise):
    assert [t for t in verify([exercise], taken) if t.problem] == []


def test_the_course_is_whole():
    course = read_course()
    assert len(course) == 24 and [e.number for e in course] == [*range(1, 25)]
    assert len({exercise.name for exercise in course}) == 24
    assert min(len(exercise.about["wrong"]) for exercise in course) >= 4
