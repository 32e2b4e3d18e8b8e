"""Entropy against the definition, in loops of its own, and against cases known beforehand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.layers.attention import causal_attention_forward, split_heads, split_qkv
from npgpt.layers.attention_entropy import attention_entropy_forward
from npgpt.probe.entropy import (
    attention_entropy,
    causal_bound,
    greatest,
    quartiles,
    sink_weight,
    uniform_sink,
)


def from_q_and_k(q, k):
    """The definition, one number at a time: q, k (T, D)."""
    t, d = len(q), len(q[0])
    total = 0.0
    for i in range(t):
        scores = [sum(q[i][c] * k[j][c] for c in range(d)) / math.sqrt(d) for j in range(i + 1)]
        exps = [math.exp(score) for score in scores]
        for e in exps:
            a = e / math.fsum(exps)
            total -= a * math.log(a)
    return total / t


def uniform(length):
    return np.tri(length) / np.arange(1, length + 1)[:, None]


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_entropy_agrees_with_the_definition_to_1e_10(scale):
    rng = np.random.default_rng(0)
    q, k = scale * rng.standard_normal((2, 2, 3, 7, 5))                 # (B, H, T, D) each
    units = np.broadcast_to(np.eye(7), (2, 3, 7, 7))
    weights, _ = causal_attention_forward(q, k, units)
    found = attention_entropy(weights)
    assert found.shape == (2, 3) and found.dtype == np.float64
    for b in range(2):
        for h in range(3):
            assert abs(found[b, h] - from_q_and_k(q[b, h].tolist(), k[b, h].tolist())) < 1e-10


@pytest.mark.parametrize("length", [1, 2, 64, 128, 1024])
def test_uniform_attention_reaches_the_bound(length):
    assert attention_entropy(uniform(length)) == pytest.approx(causal_bound(length), abs=1e-12)
    assert causal_bound(length) == pytest.approx(
        math.fsum(math.log(n) for n in range(1, length + 1)) / length, abs=1e-12)


@pytest.mark.parametrize("length, bound", [(64, 3.206), (128, 3.878), (256, 4.560), (1024, 5.936)])
def test_the_bound_is_the_known_one(length, bound):
    assert round(causal_bound(length), 3) == bound


def test_attending_to_one_position_has_no_entropy():
    assert attention_entropy(np.eye(5)) == 0.0
    assert not np.signbit(attention_entropy(np.eye(5)))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0.01, 30.0))
def test_no_causal_attention_exceeds_the_bound(length, seed, scale):
    rng = np.random.default_rng(seed)
    q, k = scale * rng.standard_normal((2, length, 4))
    weights, _ = causal_attention_forward(q, k, np.eye(length))
    assert -1e-12 <= attention_entropy(weights) <= causal_bound(length) + 1e-12


def test_it_is_the_entropy_that_the_penalty_of_training_is_about():
    qkv = np.random.default_rng(2).standard_normal((2, 5, 24))
    q, k, _ = (split_heads(part, 4) for part in split_qkv(qkv))
    weights, _ = causal_attention_forward(q, k, np.broadcast_to(np.eye(5), (2, 4, 5, 5)))
    theirs, _ = attention_entropy_forward(qkv, n_head=4)
    np.testing.assert_allclose(attention_entropy(weights).mean(axis=0), theirs, atol=1e-12)


def test_a_nan_stays_in_its_own_head():
    weights = np.stack([uniform(4)] * 3)
    weights[1, 2, 0] = math.nan
    found = attention_entropy(weights)
    assert np.isnan(found).tolist() == [False, True, False]
    assert quartiles(found, causal_bound(4)).nan == 1


def test_weights_of_float32_are_summed_in_float64():
    weights = uniform(512).astype(np.float32)
    assert attention_entropy(weights) == attention_entropy(weights.astype(np.float64))


def test_quartiles_have_their_borders_where_the_paper_has_them():
    found = quartiles([0.0, 0.04, 0.25, 0.49, 0.5, 0.75, 1.0, math.nan], 1.0)
    assert found.shares == (2 / 8, 2 / 8, 1 / 8, 2 / 8)
    assert (found.nan, found.collapse, found.overload, found.largest) == (1, 2 / 8, 2 / 8, 1.0)


def test_fractions_and_nan_sum_to_one_also_where_rounding_exceeds_the_bound():
    found = quartiles(np.array([[3.0000000001, 1.0], [math.nan, 2.0]]), 3.0)
    assert sum(found.shares) + found.nan / 4 == pytest.approx(1.0)
    assert found.overload == 0.25


def test_the_greatest_entropy_observed_ignores_nan():
    assert greatest([1.0, math.nan, 2.0]) == 2.0
    assert math.isnan(greatest([math.nan]))


def test_a_sink_is_the_weight_on_the_first_position_without_its_own_row():
    weights = np.zeros((2, 4, 4))
    weights[0, :, 0] = 1.0
    weights[1] = np.eye(4)
    assert sink_weight(weights).tolist() == [1.0, 0.0]
    assert sink_weight(uniform(6)) == pytest.approx(uniform_sink(6), abs=1e-14)
    assert np.isnan(sink_weight(np.ones((3, 1, 1)))).all() and math.isnan(uniform_sink(1))


@pytest.mark.parametrize("call, says", [
    (lambda: causal_bound(0), "length=0"),
    (lambda: attention_entropy(np.ones(3)), r"\(3,\)"),
    (lambda: quartiles([], 1.0), "at least one head"),
    (lambda: quartiles([1.0], 0.0), "largest=0"),
    (lambda: quartiles([1.0], math.nan), "largest=nan"),
])
def test_mistakes_say_what_would_fit(call, says):
    with pytest.raises(ValueError, match=says):
        call()
