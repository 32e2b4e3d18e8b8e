"""An exercise is read from its folder; what does not have the form is one line."""

import pytest

from npgpt.learn.exercise import CourseError, read_course, read_exercise

from .conftest import SOLUTION, TOML, write_course


def test_an_exercise_has_its_file_its_marks_and_its_stub(double):
    assert (double.number, double.name, double.file) == (1, "double", "01_double.py")
    assert double.estimate == (1, 2, 5)
    assert "NotBegun(\"the gradient of doubling\")" in double.stub
    assert "dx = dout\n" in double.changed(double.about["wrong"][0])


def test_several_edits_make_one_wrong_answer(double):
    edit = {**double.about["wrong"][0], "replace": ["out = 2 * x", "dx = 2 * dout"],
            "by": ["out = x", "dx = dout"]}
    assert "out = x\n" in double.changed(edit) and "dx = dout\n" in double.changed(edit)


@pytest.mark.parametrize("change, words", [
    ({"toml": TOML.replace("goal", "gaol")}, "goal: is missing"),
    ({"toml": "title ="}, "not valid TOML"),
    ({"solution": SOLUTION.replace("difficulty", "hard")}, "difficulty: 3/5"),
    ({"solution": SOLUTION.replace("your code: ends", "my code: ends", 1)}, "has no partner"),
    ({"toml": TOML.replace('"dx = 2 * dout"', '"dx = 3 * dout"')}, "occurs 0 times"),
    ({"toml": TOML.replace('"dx = 2 * dout"', '["dx", "dout"]')}, "as many texts in by"),
])
def test_what_has_not_the_form_is_named(tmp_path, change, words):
    with pytest.raises(CourseError, match=words):
        exercise = read_exercise(write_course(tmp_path, **change) / "01_double")
        assert exercise.stub and exercise.estimate
        exercise.changed(exercise.about["wrong"][0])


def test_a_folder_without_exercises_and_one_that_lacks_a_file(tmp_path, course):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(CourseError):
            read_course(path)
    (course / "01_double" / "grade.py").unlink()
    with pytest.raises(CourseError, match="has no grade.py"):
        read_course(course)
    with pytest.raises(CourseError, match="named like 05_softmax"):
        read_exercise(tmp_path)
