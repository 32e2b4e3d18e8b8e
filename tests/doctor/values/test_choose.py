"""The chooser: of mistakes that explain a value, the cheapest that agrees with every input."""

import numpy as np
import pytest

from npgpt.doctor.values import choose
from npgpt.doctor.values.choose import ValueReport, diagnose
from npgpt.doctor.values.compare import leaves
from npgpt.doctor.values.guesses import Point
from npgpt.doctor.values.program import Program, Variant

rng = np.random.default_rng(0)


def scaled(x, *, wrong=()):
    x = x + 1 if "shifted" in wrong else x
    return x * wrong["scaled"] if "scaled" in wrong else x


PROGRAM = Program("scaled", scaled, [
    Variant("shifted", "one is added"), Variant("scaled", "times {value:g}", 0.5),
    Variant("scaled", "times {value:g}", 0.25)])


def point(x, got, sizes=None):
    return Point((x,), {}, leaves(x), leaves(got), sizes or {})


@pytest.mark.smoke
def test_what_is_right_has_no_finding():
    x = rng.standard_normal((3, 4))
    report = diagnose([point(x, x * (1 + 1e-12))], PROGRAM)
    assert report == ValueReport("scaled") and report.ok and report.kinds == []


def test_the_variant_with_the_right_value_is_taken():
    x = rng.standard_normal((3, 4))
    (finding,) = diagnose([point(x, x / 4)], PROGRAM).findings
    assert (finding.kind, finding.sentence) == ("scaled", "times 0.25")


def test_two_mistakes_come_after_one():
    x = rng.standard_normal((3, 4))
    assert diagnose([point(x, (x + 1) / 2)], PROGRAM).kinds == ["shifted", "scaled"]


def test_another_input_decides_and_one_exception_among_many_is_said():
    def drawn(n, odd):
        x = rng.standard_normal((3, n))
        return point(x, x + 1 if odd else x / 2)

    points = [drawn(n, False) for n in (4, 5, 6)]
    report = diagnose([*points, drawn(7, True)], PROGRAM)
    assert report.kinds == ["scaled"] and "3 of the 4 inputs" in report.findings[0].evidence
    mixed = [*points[:2], drawn(7, True), drawn(8, True)]
    assert diagnose(mixed, PROGRAM).kinds == ["unexplained"]


def test_two_that_predict_it_come_before_one_that_comes_near():
    def mine(x, *, wrong=()):
        x = x + wrong.get("shifted", 0) if wrong else x
        return x * 1.002 if "scaled" in wrong else x

    program = Program("mine", mine, [Variant("shifted", "one is added"),
                                     Variant("scaled", "slightly more")])
    x = rng.standard_normal((3, 4))
    assert diagnose([point(x, (x + 1) * 1.002)], program).kinds == ["shifted", "scaled"]
    report = diagnose([point(x, (x + 1) * (1 + 0.002 * np.cos(9 * x)))], program)
    assert report.kinds == ["shifted"]
    assert "a second, smaller one" in " ".join(report.findings[0].evidence.split())
    single = diagnose([point(x, (x + 1) * (1 + 2e-7 * np.cos(9 * x)))], program)
    assert "as small as float32's rounding" in single.findings[0].evidence


def test_one_that_fits_all_inputs_but_one_comes_after_two_that_fit_all():
    def drawn(n):
        x = rng.standard_normal((3, n))
        return point(x, (x + (n == 7)) / 2, {})

    program = Program("scaled", lambda x, *, wrong=(): scaled(
        x + 1 if "odd" in wrong and x.shape[1] == 7 else x, wrong=wrong), [
            Variant("scaled", "times {value:g}", 0.5), Variant("odd", "one is added to seven")])
    points = [drawn(n) for n in (4, 5, 6, 7)]
    assert diagnose(points, program).kinds == ["scaled", "odd"]
    assert diagnose(points, PROGRAM).kinds == ["scaled"]


def test_two_mistakes_come_before_a_factor_of_no_known_source():
    def mine(x, *, wrong=()):
        return x * (-1 if "sign" in wrong else 1) * (1.7 if "scaled" in wrong else 1)

    two = Program("mine", mine, [Variant("sign", "minus"), Variant("scaled", "times 1.7")])
    x = rng.standard_normal((3, 4))
    assert diagnose([point(x, -1.7 * x)], two).kinds == ["sign", "scaled"]
    assert diagnose([point(x, -1.6 * x)], two).kinds == ["factor"]
    assert diagnose([point(x, 3 * x, {"rows": 3.0})], two).kinds == ["factor"]


def test_the_sentence_says_how_many_pairs_were_tried(monkeypatch):
    x = rng.standard_normal((3, 4))
    odd = point(x, np.cos(x))
    assert "nor two of them together, gives" in str(diagnose([odd], PROGRAM)).replace("\n    ", " ")
    monkeypatch.setattr(choose, "PAIRS", 1)
    assert "nor any of the 1 likeliest pairs" in str(diagnose([odd], PROGRAM)).replace("\n   ", "")
    alone = Program("alone", lambda x: x, [("b", lambda x: x + 1, "one more")])
    assert "no known mistake gives" in str(diagnose([odd], alone))


def test_a_factor_has_the_same_name_at_every_size():
    def by(n, c, word):
        x = rng.standard_normal((3, n))
        return point(x, c * x, {word: float(n)})

    report = diagnose([by(5, 5, "C"), by(7, 7, "C")], PROGRAM)
    assert report.kinds == ["factor"] and "a factor of C (5)" in str(report)
    assert diagnose([by(5, 5, "C"), by(7, 3, "C")], PROGRAM).kinds == ["unexplained"]


def test_what_has_no_name_is_placed():
    x = rng.standard_normal((3, 6))
    got = x.copy()
    got[1, 2:4] += 1
    report = diagnose([point(x, got)], PROGRAM)
    text = " ".join(str(report).split())
    assert report.where == "[1, 2]" and "2 of 18 numbers" in text
    assert "along axis 0 only 1; along axis 1 only those from 2 to 3" in text
