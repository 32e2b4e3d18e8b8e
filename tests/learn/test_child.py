"""A check in a process of its own: what never ends, and what ends Python, is a finding."""

import pytest

from npgpt.learn.child import check_apart


def test_a_check_apart_gives_what_a_check_gives(double, tmp_path):
    path = tmp_path / double.file
    path.write_text(double.solution, encoding="utf-8")
    assert check_apart(double, path).status == "passed"


@pytest.mark.parametrize("line, kind, words, seconds", [
    ("while True: pass", "too-slow", "line 2 in <module>: while True: pass", 2),
    ("os._exit(3)", "crashed", "status 3", 60),
])
def test_the_line_that_ran_is_named(double, tmp_path, line, kind, words, seconds):
    path = tmp_path / double.file
    path.write_text(f"import os\n{line}\n", encoding="utf-8")
    (finding,) = check_apart(double, path, seconds=seconds).findings
    assert finding.kind == kind and words in finding.text


def test_a_file_beside_it_is_not_taken_for_a_library(double, tmp_path):
    (tmp_path / "random.py").write_text("1 / 0\n", encoding="utf-8")
    path = tmp_path / double.file
    path.write_text(double.solution, encoding="utf-8")
    assert check_apart(double, path).status == "passed"


def test_a_stub_is_told_from_its_text_alone(double, tmp_path):
    (double.folder / "grade.py").write_text("1 / 0\n", encoding="utf-8")
    path = tmp_path / double.file
    path.write_text(double.stub, encoding="utf-8")
    result = check_apart(double, path)
    assert result.status == "not begun" and "write at line 16" in result.message
