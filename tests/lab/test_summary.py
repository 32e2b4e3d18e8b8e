"""What results say, against sums done by hand."""

import math

import numpy as np
import pytest

from npgpt.lab.summary import summarise

from .conftest import results_of

pytestmark = pytest.mark.smoke

pytest.importorskip("scipy")
A, B = [2.0, 2.1, 2.2], [1.9, 2.02, 2.09]


def test_pairs_are_compared_in_nats_seed_by_seed():
    pair = summarise(results_of({"a": A, "b": B})).pairs[0]
    assert pair.seeds == (1, 2, 3)
    assert pair.nats.mean == pytest.approx(-(0.1 + 0.08 + 0.11) / 3)
    assert pair.percent.mean == pytest.approx(100 * math.expm1(-0.29 / 3))
    assert pair.verdict == "confirms" and pair.holm == pair.t_test
    assert pair.paper == pytest.approx(2.936 / 3.197 - 1)


@pytest.mark.parametrize("claim, b, verdict", [
    ("higher", B, "contradicts"), (None, B, "lower"), ("lower", [1.9, 2.2, 2.2], "cannot tell"),
    ("lower", [1.9], "cannot tell")])
def test_a_verdict_needs_an_interval_on_one_side_of_zero(claim, b, verdict):
    assert summarise(results_of({"a": A, "b": b}, claim=claim)).pairs[0].verdict == verdict


@pytest.mark.parametrize("claim, verdict", [
    ("lower", "points that way"), ("higher", "points the other way"), (None, "points to lower")])
def test_an_interval_alone_points_a_way_where_holms_p_is_not_small(claim, verdict):
    results = results_of({"a": A, "b": B}, claim=claim)
    # the same question asked ten times is no surer for it
    results["study"]["compare"] *= 10
    pair = summarise(results).pairs[0]
    assert pair.t_test < 0.05 < pair.holm and pair.nats.excludes_zero
    assert pair.verdict == verdict


def test_perplexity_is_the_mean_of_exponentials():
    arm = summarise(results_of({"a": A, "b": B})).arm("a")
    assert arm.perplexity.mean == pytest.approx(np.exp(A).mean())
    assert arm.seconds == 180 and arm.left == 0


def test_a_diverged_run_is_counted_and_its_pair_left_out():
    summary = summarise(results_of({"a": A, "b": B}, diverged={("b", 2)}))
    assert summary.arm("b").diverged == {2: 7} and summary.pairs[0].seeds == (1, 3)
    assert len(summary.arm("b").losses) == 2


def test_entropy_is_a_fraction_of_the_bound_and_a_nan_stays():
    bound = math.log(24) / 4
    whole, half = [[bound] * 2] * 2, [[bound / 2] * 2] * 2
    summary = summarise(results_of({"a": A, "b": B}, entropies={"a": whole, "b": half}))
    assert summary.bound == pytest.approx(bound) == summary.largest
    assert summary.pairs[0].entropy.mean == pytest.approx(-50)
    broken = summarise(results_of({"a": A}, entropies={"a": [["nan", 1.0], [1.0, 0.5]]}) | {
        "study": results_of({"a": A})["study"] | {"compare": []}})
    assert broken.largest == 1.0
    assert np.isnan(broken.arm("a").mean_entropy).sum() == 1


def test_without_watching_there_is_no_entropy():
    summary = summarise(results_of({"a": A, "b": B}))
    assert summary.bound is None and summary.pairs[0].entropy is None
    assert np.isnan(summary.mean_fraction(summary.arm("a")))
