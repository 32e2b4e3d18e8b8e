"""The statistics before and after, against Python's own."""

import re
import statistics

import numpy as np
import pytest

from npgpt.demos.layernorm import layernorm_demo, layernorm_text


def test_every_row_comes_out_with_mean_0_and_variance_1():
    after = layernorm_demo()["after"]
    for row, mean, var, unbiased in zip(*after):
        row = row.tolist()
        assert mean == pytest.approx(statistics.fmean(row), abs=1e-12)
        assert mean == pytest.approx(0, abs=1e-12)
        assert var == pytest.approx(statistics.pvariance(row), rel=1e-9)
        assert unbiased == pytest.approx(statistics.variance(row), rel=1e-9)
    np.testing.assert_allclose(after.var, 1.0, atol=2e-4)
    np.testing.assert_allclose(after.unbiased, 6 / 5, atol=3e-4)


def test_rows_go_in_with_means_and_spreads_of_their_own():
    before = layernorm_demo(seed=3)["before"]
    assert np.ptp(before.mean) > 3
    assert before.var.max() > 5 * before.var.min()


def test_weight_and_bias_become_spread_and_mean():
    after = layernorm_demo(np.array([[1.0, 2.0, 6.0]]), np.full(3, 3.0), np.full(3, -1.0))["after"]
    assert after.mean[0] == pytest.approx(-1.0)
    assert after.var[0] == pytest.approx(9.0, rel=1e-4)


@pytest.mark.parametrize("x", [np.ones(3), np.ones((2, 1)), np.ones((1, 2, 3))])
def test_other_shapes_are_rejected(x):
    with pytest.raises(ValueError, match=r"\(N, C\)"):
        layernorm_demo(x)


def test_wide_batches_and_equal_channels_still_fit_80_columns():
    text = layernorm_text(layernorm_demo(np.full((2, 50), 7.0)))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("x", [
    np.array([[1000.0, -2000.0, 3000.0], [1e6, 2e6, 3.3e6], [1e-6, 2e-6, 4e-6]]),
    np.array([[123456.789, 1, 2, 3, 4, 5, 6, 7]]),
    np.array([[1e12, -2e12]]),
    np.zeros((2, 3)),
])
def test_large_and_tiny_numbers_stay_in_their_columns(x):
    text = layernorm_text(layernorm_demo(x)).splitlines()
    assert max(map(len, text)) <= 80
    head = next(line for line in text if line.startswith("before"))
    for line in text:
        if re.match(r"row \d", line):
            for word in ("mean", "var", "unbiased"):
                end = head.index(word) + len(word)
                assert line[end - 1] != " " and line[end:end + 1] in ("", " ")
            assert len(line.replace(" ..", "").split()) == 2 + min(x.shape[1], 6) + 3
