from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.attention_entropy import (
    attention_entropy_backward,
    attention_entropy_forward,
    causal_bound,
    entropy_penalty_backward,
    entropy_penalty_forward,
)

SETTINGS = {"weight": 0.7, "tolerance": 0.1, "bound": 2.0}


def one_by_one(qkv: np.ndarray, n_head: int) -> np.ndarray:
    """The entropy from its definition, a number at a time."""
    b, t, c = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    d = c // n_head
    total = np.zeros(n_head)
    for n in range(b):
        for h in range(n_head):
            for i in range(t):
                q = qkv[n, i, h * d:(h + 1) * d]
                scores = [math.fsum(q * qkv[n, j, c + h * d:c + (h + 1) * d]) / math.sqrt(d)
                          for j in range(i + 1)]
                exps = [math.exp(s) for s in scores]
                shares = [e / sum(exps) for e in exps]
                total[h] -= sum(a * math.log(a) for a in shares)
    return total / (b * t)


def test_the_entropy_is_that_of_its_definition(rng):
    qkv = rng.standard_normal((2, 5, 3 * 8))
    out, _ = attention_entropy_forward(qkv, n_head=4)
    np.testing.assert_allclose(out, one_by_one(qkv, 4), rtol=1e-13)


@pytest.mark.parametrize("t", [1, 2, 7, 128])
def test_uniform_attention_has_exactly_the_bound(t):
    out, _ = attention_entropy_forward(np.zeros((3, t, 6)), n_head=2)
    by_hand = sum(math.log(i) for i in range(1, t + 1)) / t
    np.testing.assert_allclose(out, by_hand, rtol=1e-12, atol=1e-15)
    assert causal_bound(t) == pytest.approx(by_hand, rel=1e-12, abs=1e-15)


def test_the_bounds_at_usual_lengths():
    bounds = [causal_bound(t) for t in (64, 128, 256, 1024)]
    np.testing.assert_allclose(bounds, [3.206, 3.878, 4.560, 5.936], atol=5e-4)
    assert causal_bound(0) == 0.0


def test_attention_to_one_key_alone_has_none(rng):
    qkv = np.zeros((1, 4, 6))
    qkv[..., :2] = 100.0                                # every query alike,
    qkv[:, :, 2:4] = np.array([1e4, 0, 0, 0])[:, None]  # and one key far above the others
    out, cache = attention_entropy_forward(qkv, n_head=1)
    assert out == 0.0
    (dqkv,) = attention_entropy_backward(np.ones(1), cache)
    assert np.isfinite(dqkv).all()


@given(st.integers(0, 99), st.floats(0.0, 30.0))
def test_the_entropy_lies_between_0_and_the_bound(seed, scale):
    qkv = scale * np.random.default_rng(seed).standard_normal((2, 6, 12))
    out, _ = attention_entropy_forward(qkv, n_head=2)
    assert (out >= -1e-12).all() and (out <= causal_bound(6) + 1e-12).all()


def test_nan_is_not_lost(rng):
    qkv = rng.standard_normal((1, 4, 12))
    qkv[0, 2, 0] = np.nan
    out, _ = attention_entropy_forward(qkv, n_head=2)
    assert np.isnan(out[0]) and np.isfinite(out[1])
    penalty, _ = entropy_penalty_forward(out, np.zeros(2), **SETTINGS)
    assert np.isnan(penalty)


def test_gradient_of_the_entropy_agrees_with_the_numbers(rng):
    prove_gradients(attention_entropy_forward, attention_entropy_backward,
                    rng.standard_normal((2, 5, 3 * 8)), n_head=4)


def test_only_heads_beyond_the_tolerance_cost():
    # distances from 0.25 * 2: -0.15, 0.15 and 0.5, of which 0.2 are free
    entropy, target = np.array([0.35, 0.65, 1.0]), np.full(3, 0.25)
    out, cache = entropy_penalty_forward(entropy, target, **SETTINGS)
    assert out.shape == () and float(out) == pytest.approx(0.7 * 0.25, rel=1e-14)
    dentropy, dtarget = entropy_penalty_backward(np.ones(()), cache)
    np.testing.assert_allclose(dentropy, [0, 0, 2 * 0.7 * 0.5], rtol=1e-14)
    np.testing.assert_allclose(dtarget, -2.0 * dentropy, rtol=1e-14)


def test_a_head_at_the_edge_of_the_tolerance_is_free_and_just_beyond_it_pays_for_all():
    entropy = np.array([1.5, 1.625, 0.5, 0.375])        # the target is 1, the tolerance 0.5 nats
    out, _ = entropy_penalty_forward(entropy, np.full(4, 0.5), weight=1.0, tolerance=0.25,
                                     bound=2.0)
    assert float(out) == 2 * 0.625**2


def test_without_positions_there_is_no_entropy_and_no_gradient():
    out, cache = attention_entropy_forward(np.zeros((2, 0, 6)), n_head=2)
    np.testing.assert_array_equal(out, [0.0, 0.0])
    assert attention_entropy_backward(np.ones(2), cache)[0].shape == (2, 0, 6)


def test_gradients_of_the_penalty_agree_with_the_numbers(rng):
    prove_gradients(entropy_penalty_forward, entropy_penalty_backward,
                    np.array([0.2, 0.7, 1.5, 0.1]), np.array([0.3, 0.3, 0.3, 0.65]), **SETTINGS)
