"""A file is graded: not begun, wrong with one finding, or passed."""

import pytest

from npgpt.learn.examine import NOT_BEGUN, PASSED, WRONG, Result, examine, loaded
from npgpt.learn.exercise import CourseError, read_exercise

from .conftest import GRADE, write_course

pytestmark = pytest.mark.smoke


def test_a_stub_a_half_and_a_solution(double):
    assert examine(double, double.solution).status == PASSED
    result = examine(double, double.stub)
    assert result.status == NOT_BEGUN and result.right == ()
    assert result.message == "not begun: double_forward; write at line 16, between the marks"
    half = double.stub.replace('raise NotBegun("double_forward")', "out = x + x")
    result = examine(double, half)
    assert result.status == NOT_BEGUN and "the gradient of doubling" in result.message
    assert result.right == ("the values of double_forward",)


@pytest.mark.parametrize("change, kind, words", [
    (("def double_backward", "def duoble_backward"), "missing", "did you mean 'duoble_backward'?"),
    (("out = 2 * x", "out = 2 * * x"), "syntax-error", "line 16"),
    (("import numpy as np", "import numpty"), "raises-on-import", "line 8"),
    (("out = 2 * x", "out = x.nothing"), "raises", "line 16"),
    (("out = 2 * x", "import sys; sys.exit('bye')"), "raises", "line 16"),
    (("dx = 2 * dout", "dx = y"), "backward-raises", "line 25"),
])
def test_what_raises_is_said_with_the_learners_own_line(double, change, kind, words):
    result = examine(double, double.solution.replace(*change))
    assert (result.status, [f.kind for f in result.findings]) == (WRONG, [kind])
    assert words in result.findings[0].text and "npgpt/learn" not in result.findings[0].text


def test_what_the_code_prints_is_kept_apart(double, capsys):
    source = double.solution.replace("    out = 2", "    print('hello')\n    out = 2")
    result = examine(double, source)
    assert result.status == PASSED and result.printed.startswith("hello")
    assert capsys.readouterr().out == ""


def test_a_result_is_the_same_after_json(double):
    result = examine(double, double.changed(double.about["wrong"][0]))
    assert Result.from_dict(result.to_dict()) == result


def test_a_fault_of_the_grading_is_not_the_learners(tmp_path, double):
    broken = write_course(tmp_path / "other", grade="def grade(mine, g):\n    1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        examine(read_exercise(broken / "01_double"), double.solution)
    with pytest.raises(ZeroDivisionError):
        examine(read_exercise(broken / "01_double"), double.stub)
    broken = write_course(tmp_path / "other", grade="grade = 3\n")
    with pytest.raises(CourseError, match="has no function grade"):
        examine(read_exercise(broken / "01_double"), double.solution)


def test_what_cannot_be_graded_is_a_finding(tmp_path, double):
    odd = write_course(tmp_path / "other", grade=GRADE.replace(
        "    x = ", "    mine.double_forward(g.normal(3))[0] + 1\n    x = "))
    result = examine(read_exercise(odd / "01_double"),
                     double.solution.replace("return out, None", "return None"))
    assert [(f.kind, f.step) for f in result.findings] == [("not-comparable", "values")]
    assert "TypeError" in result.findings[0].text and "docstring" in result.findings[0].text


def test_only_the_learners_file_is_graded(double):
    # npgpt beside it has every layer; nothing of it stands in for what is missing
    empty = loaded("", "empty.py")
    assert not hasattr(empty, "double_forward")
    assert examine(double, "").findings[0].kind == "missing"
