"""The report is a table that a person reads and a verdict that a test asks."""

import pytest

from npgpt.gradcheck import GradientMismatch, Report, Row

pytestmark = pytest.mark.smoke


def row(verdict, error=1e-12):
    return Row("x", (2, 3), error, 1e-10, "complex step", "a reason", verdict)


@pytest.mark.parametrize("verdicts, ok, title", [
    (["right", "right"], True, "every gradient is right"),
    (["right", "wrong"], False, "a gradient is wrong"),
    (["undecided", "right"], False, "undecided"),
    (["undecided", "wrong"], False, "a gradient is wrong"),
    ([], False, "no input has a gradient to check"),
])
def test_the_worst_row_is_the_verdict(verdicts, ok, title):
    report = Report("gelu", tuple(map(row, verdicts)))
    assert report.ok is ok
    assert str(report).splitlines()[0] == f"gelu: {title}"


def test_the_table_names_input_shape_error_and_reason():
    text = str(Report("gelu", (row("wrong", 0.25),)))
    assert "2x3" in text and "2.5e-01" in text and "wrong" in text and "x: a reason" in text


def test_a_wrong_report_raises_with_itself_and_a_right_one_returns_itself():
    wrong, right = Report("gelu", (row("wrong"),)), Report("gelu", (row("right"),))
    assert right.raise_if_wrong() is right
    with pytest.raises(GradientMismatch, match="a gradient is wrong") as caught:
        wrong.raise_if_wrong()
    assert caught.value.report is wrong


def test_the_worst_error_is_the_largest():
    assert Report("f", (row("right", 1e-15), row("wrong", 0.5))).worst == 0.5
    assert Report("f", ()).worst == 0.0
