import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.evidence.picture import neighbourhood
from npgpt.doctor.evidence.report import Finding, Report, Row, table

from ..pairs import damaged, linear_backward, linear_forward, linear_inputs, normal

pytestmark = pytest.mark.smoke


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
    numbers = (r"At weight\[\d, \d\] the analytic gradient is \S+, the numerical one \S+ "
               r"\+- \de-\d+\.")
    assert re.search(numbers, text)


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


def test_every_input_says_its_derivative_why_and_what_is_allowed():
    report = check(lambda a, b: (np.abs(a) * b, (a, b)),
                   lambda d, c: (d * np.sign(c[0]) * c[1], d * np.abs(c[0])),
                   normal(0, 3), normal(1, 3))
    text = " ".join(str(report).split())
    assert re.search(r"a 3 \d.\de[-+]\d+ \d.\de-\d+ Richardson", text)
    assert re.search(r"b 3 \d.\de[-+]\d+ 1.0e-10 complex step", text)
    assert "a: Richardson (" in text and "b: complex step (analytic" in text


def test_a_notebook_shows_all_that_the_text_shows():
    report = wrong_report()
    report.notes.append("a <note>")
    report.rows[0] = replace(report.rows[0], noisy=True)
    page = re.sub(r"</?code>", "`", report._repr_html_())
    shown = html.unescape(re.sub(r"<(?!note)[^>]+>", " ", page))
    words = set(report.text(width=10_000).split())
    assert words - set(shown.split()) == set()


def test_large_numbers_and_shapes_stay_in_their_columns_and_within_eighty():
    given, true = 1e105 * normal(0, 3, 4), -1e103 * normal(1, 3, 4)
    finding = Finding("unexplained", "x", "It is wrong.", (0, 1), given[0, 1], true[0, 1], 1e90,
                      picture=neighbourhood(given, true, (0, 1)))
    text = str(Report("op", findings=[finding]))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    analytic, numeric = (next(line for line in lines if line.strip().startswith(word))
                         for word in ("analytic  ", "numeric  "))
    assert len(analytic) == len(numeric) and len(numeric.split()) == len(analytic.split()) > 2
    rows = [Row("op", "x" * 90, tuple(range(10**6, 10**6 + 12)), 1e-100, "central differences",
                "why", 1e-10, False)]
    assert max(map(len, table(rows))) <= 80
    assert "WRONG" in "".join(table(rows))


def test_every_kind_names_its_explanation_once():
    def twice(dx, dw, db):
        return 3 * dx, -dw, 3 * db

    report = check(linear_forward, damaged(linear_backward, twice), *linear_inputs())
    text = str(report)
    assert len(report.kinds) >= 2
    for kind in set(report.kinds):
        assert text.count(f"npgpt explain {kind}\n") + text.endswith(f"npgpt explain {kind}") == 1


def test_a_report_is_plain_values_for_json():
    report = wrong_report()
    content = json.loads(json.dumps(report.to_dict()))
    assert content["ok"] is False and [f["kind"] for f in content["findings"]] == report.kinds
    assert content["findings"][0]["explain"] == f"npgpt explain {report.kinds[0]}"
    assert [row["argument"] for row in content["rows"]] == ["x", "weight", "bias"]


def test_a_notebook_gets_a_few_kilobytes_also_of_a_large_model():
    from npgpt.doctor import check_scalar

    params = {f"h.{n}.attn.c_attn.weight": normal(n, 2, 2) for n in range(60)}
    grads = {name: 2 * value for name, value in params.items()}
    grads["h.59.attn.c_attn.weight"] = params["h.59.attn.c_attn.weight"]
    report = check_scalar(lambda p: sum((v**2).sum() for v in p.values()), params, grads)
    text = report._repr_html_()
    assert len(text) < 8000 and "and 40 more inputs" in text
    assert "<td style='color:#b3261e'>h.59.attn" in text
    assert len(wrong_report()._repr_html_()) < 4000
