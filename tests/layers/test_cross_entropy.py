from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.cross_entropy import (
    IGNORE,
    cross_entropy_backward,
    cross_entropy_forward,
    linear_cross_entropy_backward,
    linear_cross_entropy_forward,
)

pytestmark = pytest.mark.smoke

B, T, C, V = 2, 3, 8, 5
some_logits = arrays(np.float64, (B, T, V), elements=st.floats(-50.0, 50.0))
some_targets = arrays(np.int64, (B, T), elements=st.integers(0, V - 1))


def loss_of(logits: np.ndarray, targets: np.ndarray, **settings: int) -> float:
    return float(cross_entropy_forward(logits, targets, **settings)[0])


def test_equal_scores_cost_the_logarithm_of_the_vocabulary():
    loss = loss_of(np.full((B, T, V), 3.0), np.zeros((B, T), int))
    assert loss == pytest.approx(math.log(V), rel=1e-14)


def test_value_agrees_with_a_hand_calculation():
    logits = np.log([[1.0, 2.0, 7.0], [1.0, 1.0, 2.0]])
    loss = loss_of(logits, np.array([1, 2]))
    assert loss == pytest.approx(-(math.log(0.2) + math.log(0.5)) / 2, rel=1e-14)


@given(some_logits, some_targets)
def test_value_agrees_with_plain_python(logits, targets):
    costs = []
    for row, target in zip(logits.reshape(-1, V), targets.ravel()):
        top = max(row)
        costs.append(top + math.log(math.fsum(math.exp(v - top) for v in row)) - row[target])
    assert loss_of(logits, targets) == pytest.approx(math.fsum(costs) / len(costs), abs=1e-12)


@given(some_logits, some_targets)
def test_loss_is_never_negative_and_gradient_rows_sum_to_0(logits, targets):
    loss, cache = cross_entropy_forward(logits, targets)
    assert loss.shape == () and loss >= 0.0
    dlogits, none = cross_entropy_backward(np.array(1.0), cache)
    assert none is None
    np.testing.assert_allclose(dlogits.sum(axis=-1), 0.0, atol=1e-14)


def test_logits_of_ten_thousand_neither_overflow_nor_lose_the_loss():
    logits = np.array([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]])
    loss, cache = cross_entropy_forward(logits, np.array([0, 2]))
    assert loss == 1e4     # (0 + 2e4) / 2
    dlogits, _ = cross_entropy_backward(np.array(1.0), cache)
    np.testing.assert_array_equal(dlogits, [[0, 0, 0], [0.5, 0, -0.5]])


def test_positions_whose_logits_lie_far_apart_do_not_disturb_each_other():
    logits = np.array([[1e4, 1e4], [0.0, 0.0], [-1e4, -1e4]])
    assert loss_of(logits, np.array([0, 1, 0])) == pytest.approx(math.log(2), rel=1e-12)


def test_ignored_targets_are_not_counted_and_get_no_gradient(rng):
    logits, targets = rng.standard_normal((4, V)), np.array([1, IGNORE, 3, IGNORE])
    loss, cache = cross_entropy_forward(logits, targets)
    assert loss == pytest.approx(loss_of(logits[[0, 2]], targets[[0, 2]]), rel=1e-14)
    dlogits, _ = cross_entropy_backward(np.array(1.0), cache)
    assert (dlogits[[1, 3]] == 0).all() and (dlogits[[0, 2]] != 0).all()


@pytest.mark.parametrize("targets", [[1], [IGNORE, 1, IGNORE]])
def test_the_mean_over_one_target_is_its_own_loss(targets):
    logits = np.log(np.tile([1.0, 2.0, 7.0], (len(targets), 1)))
    loss, cache = cross_entropy_forward(logits, np.array(targets))
    assert float(loss) == pytest.approx(-math.log(0.2), rel=1e-14)
    dlogits, _ = cross_entropy_backward(np.array(1.0), cache)
    np.testing.assert_allclose(dlogits.sum(axis=0), [0.1, -0.8, 0.7], rtol=1e-14)


def test_when_all_are_ignored_loss_and_gradient_are_0(rng):
    loss, cache = cross_entropy_forward(rng.standard_normal((3, V)), np.full(3, IGNORE))
    assert str(float(loss)) == "0.0"        # and not -0.0
    assert (cross_entropy_backward(np.array(1.0), cache)[0] == 0).all()


def test_another_number_can_be_the_one_ignored(rng):
    logits = rng.standard_normal((3, V))
    assert loss_of(logits, np.array([0, 2, 0]), ignore_index=0) == pytest.approx(
        loss_of(logits[1:2], np.array([2])), rel=1e-14)


def test_a_vocabulary_of_one_token_costs_nothing():
    loss, cache = cross_entropy_forward(np.ones((2, 1)), np.array([0, IGNORE]))
    assert loss == 0.0
    np.testing.assert_array_equal(cross_entropy_backward(np.array(1.0), cache)[0], [[0], [0]])


def test_the_gradient_has_the_type_of_the_logits_whatever_that_of_dloss():
    _, cache = cross_entropy_forward(np.ones((2, V), np.float32), np.array([0, 1]))
    dlogits, _ = cross_entropy_backward(np.array(1.0, np.float64), cache)
    assert dlogits.dtype == np.float32


def test_gradient_scales_with_dloss(rng):
    _, cache = cross_entropy_forward(rng.standard_normal((3, V)), np.array([0, 1, 2]))
    once, thrice = (cross_entropy_backward(np.array(a), cache)[0] for a in (1.0, 3.0))
    np.testing.assert_allclose(thrice, 3.0 * once, rtol=1e-15)


@pytest.mark.parametrize("wrong", [-1, V, 2**62, -(2**63)])
def test_a_target_outside_the_vocabulary_is_named(wrong):
    with pytest.raises(ValueError, match=rf"targets: {wrong} is outside \[0, 5\)"):
        cross_entropy_forward(np.zeros((2, V)), np.array([0, wrong]))


def test_targets_of_another_shape_are_rejected():
    with pytest.raises(ValueError, match=r"logits \(2, 3, 5\): targets \(2, 3\); got \(3, 2\)"):
        cross_entropy_forward(np.zeros((B, T, V)), np.zeros((T, B), int))


def test_loss_from_the_channels_equals_the_loss_of_their_scores(rng):
    x, weight = rng.standard_normal((B, T, C)), rng.standard_normal((V, C))
    targets = rng.integers(0, V, (B, T))
    scores = np.einsum("btc,vc->btv", x, weight)
    for settings in ({}, {"ignore_index": int(targets[0, 0])}):
        loss, _ = linear_cross_entropy_forward(x, weight, targets, **settings)
        assert float(loss) == pytest.approx(loss_of(scores, targets, **settings), rel=1e-13)


def test_gradients_agree_with_the_numbers(rng):
    logits, targets = rng.standard_normal((B, T, V)), np.array([[1, 0, IGNORE], [4, 1, 1]])
    prove_gradients(cross_entropy_forward, cross_entropy_backward, logits, targets)
    prove_gradients(cross_entropy_forward, cross_entropy_backward, logits,
                    np.array([[1, 0, 2], [4, 1, 1]]), ignore_index=1)
    x, weight = rng.standard_normal((B, T, C)), rng.standard_normal((V, C))
    prove_gradients(
        linear_cross_entropy_forward, linear_cross_entropy_backward, x, weight, targets
    )
    prove_gradients(linear_cross_entropy_forward, linear_cross_entropy_backward, x, weight,
                    np.array([[1, 0, 2], [4, 1, 1]]), ignore_index=1)
