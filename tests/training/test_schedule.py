"""The learning rate against nanoGPT's convention, worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.training.schedule import learning_rate
from npgpt.training.settings import TrainSettings

RECIPE = TrainSettings(max_steps=2000, warmup_steps=100, learning_rate=1e-3, min_learning_rate=1e-4)


@pytest.mark.parametrize("step, expected", [
    (0, 1e-3 / 101),
    (99, 1e-3 * 100 / 101),
    (100, 1e-3),
    (1050, (1e-3 + 1e-4) / 2),
    (2000, 1e-4),
    (5000, 1e-4),
])
def test_the_rate_at_known_steps(step, expected):
    assert learning_rate(step, RECIPE) == pytest.approx(expected, rel=1e-12)


def test_the_decay_may_end_before_the_run():
    settings = TrainSettings(max_steps=2000, decay_steps=500)
    assert learning_rate(500, settings) == settings.min_learning_rate


def test_the_decay_may_end_with_the_warm_up():
    settings = TrainSettings(warmup_steps=100, decay_steps=100)
    assert learning_rate(99, settings) > 0.99 * settings.learning_rate
    assert learning_rate(100, settings) == settings.min_learning_rate


@given(step=st.integers(0, 3000), warmup=st.integers(0, 2500))
def test_the_rate_stays_within_its_bounds_and_never_rises_after_warm_up(step, warmup):
    settings = TrainSettings(max_steps=2000, warmup_steps=warmup)
    rate = learning_rate(step, settings)
    assert 0.0 < rate <= settings.learning_rate
    assert math.isfinite(rate)
    if step >= warmup:
        assert rate >= settings.min_learning_rate
        assert learning_rate(step + 1, settings) <= rate
