import json
import re

import numpy as np

from npgpt.gradcheck import check

from .pairs import damaged, linear_backward, linear_forward, linear_inputs, normal


def wrong_report():
    return check(
        linear_forward, damaged(linear_backward, lambda dx, dw, db: (dx + 1, -dw, db)),
        *linear_inputs())


def test_a_report_fits_eighty_columns_and_has_no_colour_unless_asked():
    text = str(wrong_report())
    assert max(map(len, text.splitlines())) <= 80
    assert "\033" not in text
    coloured = wrong_report().text(colour=True)
    assert "\033[31m" in coloured
    assert re.sub(r"\033\[\d+m", "", coloured) == text


def test_long_names_do_not_break_the_table():
    def a_layer_with_a_name_that_never_seems_to_end_forward(the_input_with_the_long_name):
        return the_input_with_the_long_name**2, the_input_with_the_long_name

    report = check(
        a_layer_with_a_name_that_never_seems_to_end_forward, lambda dout, x: (dout * x,),
        normal(0, 2, 3, 4))
    assert max(map(len, str(report).splitlines())) <= 80
    assert "WRONG" in str(report)


def test_a_finding_shows_both_numbers_and_the_error_bar():
    text = " ".join(str(wrong_report()).split())
    numbers = r"At weight\[\d, \d\] backward says \S+, the numbers say \S+ \+- \de-\d+\."
    assert re.search(numbers, text)


def test_a_report_becomes_json():
    data = json.loads(json.dumps(wrong_report().as_dict()))
    assert not data["ok"]
    assert [f["kind"] for f in data["findings"]] == wrong_report().kinds
    assert data["rows"][0]["shape"] == [2, 3, 4]


def test_a_notebook_gets_escaped_html():
    report = check(lambda x: (x, None), lambda dout, cache: (2 * dout,), normal(0, 3))
    text = report._repr_html_()
    assert "&lt;lambda&gt;" in text and "<lambda>" not in text
    assert text.count("<table>") == text.count("</table>") == 1
    assert "factor" in text


def test_a_right_report_says_so():
    report = check(linear_forward, linear_backward, *linear_inputs())
    assert str(report).startswith("linear: every gradient is right")
    assert report.raise_if_wrong() is report
    assert np.isfinite(report.seconds)
