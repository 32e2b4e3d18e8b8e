"""The planted mistakes: what is right is not accused, and every edit still fits its function."""

import pytest

from benchmarks.values import __main__ as values
from npgpt.doctor import diagnose_value


@pytest.mark.parametrize("name", sorted(values.functions()))
def test_a_right_answer_in_anybodys_style_is_not_accused(name):
    wrong = [str(report) for report in values.right_calls(name, 1) if not report.ok]
    assert wrong == []


def test_every_edit_fits_its_function_and_there_are_a_hundred_of_them():
    mistakes = [*values.planted()]
    assert len(mistakes) >= 100
    # one of each program, so that a run of all of them is left to the benchmark
    first = {values.program_of(name): (function, kinds) for name, function, kinds in mistakes[::-1]
             if kinds}
    for program, (function, kinds) in first.items():
        report = diagnose_value(program, function)
        assert report.kinds[0] in kinds.split("|"), str(report)


def test_the_table_on_the_page_adds_up():
    row = {"right": 2, "calls": 5, "accused": 0, "planted": 3, "found": 3, "named": 2}
    assert values.section({"a": row, "b": row}).splitlines()[-1] == (
        "| **all** | 4 | 10 | 0 | 6 | 6 | 4 |")
