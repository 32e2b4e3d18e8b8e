"""The answer says what the numbers do, and no more."""

import math

import pytest

from npgpt.lab.statistics import Estimate
from npgpt.lab.summary import summarise
from npgpt.lab.wording import (
    answer_parts,
    change,
    enough_digits,
    figure,
    fraction,
    interval,
    p_text,
    percent,
    verdict,
)

from .conftest import results_of

pytest.importorskip("scipy")
A, B = [2.0, 2.1, 2.2], [1.9, 2.02, 2.09]


def answer(results, summary):
    return " ".join(answer_parts(results, summary))


def answer_to(*given, **settings):
    results = results_of(*given, **settings)
    return answer(results, summarise(results))


def test_numbers_have_true_minus_signs_and_their_intervals():
    assert figure(-1.5, 1) == "−1.5" and figure(math.nan) == "NaN"
    assert percent(-8.155) == "−8.15 %" or percent(-8.155) == "−8.16 %"
    assert percent(2.5) == "+2.50 %" and percent(math.nan) == "–"
    assert fraction(0.256) == "26 %" and fraction(math.nan) == "NaN"
    assert interval(Estimate(1.0, 0.5, 1.5, 3)) == "1.000 (0.500 to 1.500)"
    assert interval(Estimate(1.0, math.nan, math.nan, 1)) == "1.000 (one seed)"
    assert p_text(0.0000004) == "< 0.0001" and p_text(0.0213) == "0.021" and p_text(math.nan) == "–"


@pytest.mark.parametrize("b, claim, says", [
    (B, "lower", "At this scale it holds: the perplexity is lower"),
    (B, "higher", "At this scale it does not hold"),
    ([1.9, 2.2, 2.2], "lower", "cannot tell: the 95 % interval of the difference contains zero"),
    (B, None, "At this scale the perplexity is lower"),
    ([1.9], "lower", "Cannot tell from one seed"),
    ([], "lower", "Cannot tell yet"),
])
def test_the_answer_follows_the_interval(b, claim, says):
    assert says in answer_to({"a": A, "b": b}, claim=claim)


@pytest.mark.parametrize("claim, says, cell", [
    ("lower", "the numbers point that way: the perplexity is lower",
     "points that way (Holm p = 0.082)"),
    ("higher", "the numbers point the other way: the perplexity is lower",
     "points the other way (Holm p = 0.082)"),
    (None, "the numbers point one way: the perplexity is lower",
     "points to lower (Holm p = 0.082)"),
])
def test_of_many_comparisons_one_has_to_be_surer(claim, says, cell):
    results = results_of({"a": A, "b": B}, claim=claim)
    results["study"]["compare"] *= 10
    summary = summarise(results)
    text = answer(results, summary)
    assert says in text and "corrected for all comparisons (10)" in text
    assert "Holm's p is 0.082" in text and verdict(summary.pairs[0]) == cell


@pytest.mark.parametrize("claim, says", [
    ("lower", "confirmed: lower"), ("higher", "the opposite: lower"), (None, "lower")])
def test_a_sure_verdict_names_the_way(claim, says):
    assert verdict(summarise(results_of({"a": A, "b": B}, claim=claim)).pairs[0]) == says


def test_differences_that_would_all_look_like_zero_get_more_digits():
    assert enough_digits([-0.0004, 0.0001]) == 4 and enough_digits([0.004, 1.0]) == 2
    assert enough_digits([0.0, 0.0]) == 2 and enough_digits([math.nan]) == 2
    near = [2.0 + d for d in (1e-6, 2e-6, 3e-6)]
    pair = summarise(results_of({"a": [2.0] * 3, "b": near})).pairs[0]
    assert change(pair.percent) == "+0.0002 % (−0.0000 to +0.0004)"


def test_the_answer_names_the_scale_the_paper_and_what_diverged():
    text = answer_to({"a": A, "b": B}, diverged={("b", 2)})
    assert "“b” diverged with one seed." in text and "over 2 seeds; the paper: −8.16 %" in text
    assert "2 layers of 8 channels" in text and "Larger models may differ" in text
    assert "the paper" not in answer_to({"a": A, "b": B}, paper=False)


def test_all_runs_diverged_is_no_comparison():
    assert answer_to({"a": A, "b": B}, diverged={("b", 1), ("b", 2), ("b", 3)}).startswith(
        "Cannot tell: “b” diverged with 3 seeds.")


def test_an_unfinished_study_says_so_first():
    assert answer_to({"a": A, "b": B[:2]}).startswith("Not finished: 5 of 6 runs have ended.")


def test_the_entropy_stands_beside_the_papers():
    nats = {"a": [[0.79, 0.79], [0.7, 0.7]], "b": [[0.1, 0.1], [0.2, 0.2]]}
    text = answer_to({"a": A, "b": B}, entropies=nats)
    assert "entropy of the first is lower: 19 % of its bound against 94 %" in text
    assert "0 % and 100 % of the heads are in its highest quarter" in text
    assert "(the paper: 24 % and 58 %)" in text


def test_other_claims_are_listed_by_what_became_of_them():
    results = results_of({"a": A, "b": B})
    results["study"]["compare"] += [{"arm": "a", "against": "b", "claim": "lower"},
                                    {"arm": "a", "against": "b", "claim": "higher"}]
    text = answer(results, summarise(results))
    assert "these hold: “a” higher than “b”. These do not hold: “a” lower than “b”." in text
    results["study"]["compare"] *= 10
    text = answer(results, summarise(results))
    assert "these seem to hold, but not surely (Holm's p is not below 0.05): “a” higher" in text
    assert "These seem not to hold, but not surely" in text
