"""The learner's file is the solution, with a raised sign between the marks."""

import subprocess
import sys

import pytest

from npgpt.learn import NotBegun
from npgpt.learn.marks import BEGIN, END, regions, stub_of, written


def test_the_code_between_marks_becomes_a_sign_with_the_comment_above_or_the_functions_name():
    source = (f"def f(x):\n    {BEGIN}\n    y = x\n    {END}\n    return y\n\n\n"
              f"def g(x):\n    # the gradient of f\n    {BEGIN}\n    return 2\n    {END}\n")
    stub = stub_of(source)
    assert 'raise NotBegun("f")' in stub and 'raise NotBegun("the gradient of f")' in stub
    assert "y = x" not in stub and "return 2" not in stub and "return y" in stub
    assert written(source) == ["y = x", "return 2"]
    assert regions(stub) == [(3, 3), (11, 11)]


@pytest.mark.parametrize("text", [BEGIN, END, f"{BEGIN}\n{BEGIN}\n{END}", f"{BEGIN}\n{END}\n{END}"])
def test_marks_come_in_pairs(text):
    with pytest.raises(ValueError, match="has no"):
        stub_of(text)


def test_a_file_that_is_not_begun_ends_with_its_words_and_no_traceback(tmp_path, double):
    path = tmp_path / "double.py"
    path.write_text(double.stub, encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "not begun: double_forward\n")


def test_no_except_exception_catches_it():
    assert not issubclass(NotBegun, Exception)
