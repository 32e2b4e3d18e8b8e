"""The paper's numbers agree with each other as far as rounding allows."""

import math

import pytest

from npgpt.lab.paper import LARGEST_ENTROPY, ROWS
from npgpt.probe.entropy import causal_bound


def test_percentages_follow_from_the_perplexities():
    for name, row in ROWS.items():
        if row.over_baseline is not None:
            ratio = row.perplexity / ROWS["softmax + LayerNorm + GELU"].perplexity
            assert 100 * (ratio - 1) == pytest.approx(row.over_baseline, abs=0.05), name


def test_layer_means_average_to_the_mean_and_stay_below_the_bound():
    for row in ROWS.values():
        if row.layers is not None:
            assert len(row.layers) == 12 and max(row.layers) < LARGEST_ENTROPY < causal_bound(128)
            assert sum(row.layers) / 12 == pytest.approx(row.mean_entropy, abs=0.02)


def test_quartiles_are_percentages_and_one_run_diverged():
    assert all(98 <= sum(row.quartiles) <= 101 for row in ROWS.values() if row.quartiles)
    assert [name for name, row in ROWS.items() if math.isnan(row.perplexity)] == ["softmax"]
