"""AdamW: the formula by hand, the decay groups, clipping, and the blocked version against it."""

import math

import numpy as np
import pytest

from npgpt.config import GPT2Config
from npgpt.params import init_params, parameter_shapes
from npgpt.training.optimiser import (
    adamw_reference,
    decaying,
    decays,
    update,
    zero_moments,
)
from npgpt.training.settings import TrainSettings

RULE = {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}


def test_the_first_step_moves_each_number_by_the_rate_against_its_gradients_sign():
    params = {"b": np.array([1.0, -2.0, 3.0])}
    grads = {"b": np.array([0.5, -4.0, 1e-3])}
    m, v = zero_moments(params), zero_moments(params)
    adamw_reference(params, grads, m, v, step=1, **RULE)
    np.testing.assert_allclose(params["b"], [1.0 - 1e-2, -2.0 + 1e-2, 3.0 - 1e-2], rtol=1e-6)


def test_decay_shrinks_matrices_and_leaves_vectors():
    params = {"w": np.ones((2, 3)), "b": np.ones(3)}
    grads = zero_moments(params)
    adamw_reference(params, grads, zero_moments(params), zero_moments(params), step=1, **RULE)
    np.testing.assert_allclose(params["w"], 1 - 1e-2 * 0.1, rtol=1e-12)
    np.testing.assert_array_equal(params["b"], np.ones(3))


def test_slopes_decay_only_where_that_is_asked_for():
    config = GPT2Config(vocab_size=5, n_positions=3, n_embd=4, n_layer=1, n_head=2,
                        activation_function="leaky_relu", weight_norm=True, entropy_penalty=1.0)
    params = init_params(config, dtype=np.float64)
    assert decaying(params) == {name for name, a in params.items() if a.ndim == 2}
    assert decaying(params, slopes=True) - decaying(params) == {"h.0.mlp.act.slope"}
    grads = zero_moments(params)
    for slope_decay in (False, True):
        before = params["h.0.mlp.act.slope"].copy()
        update(params, grads, zero_moments(params), zero_moments(params), step=1, lr=1e-2,
               settings=TrainSettings(weight_decay=0.1), slope_decay=slope_decay)
        expected = before * (1 - 1e-3) if slope_decay else before
        np.testing.assert_allclose(params["h.0.mlp.act.slope"], expected, rtol=1e-12)


def test_decay_groups_of_the_124m_model_have_the_known_sizes():
    shapes = parameter_shapes(GPT2Config())
    with_decay = [s for s in shapes.values() if len(s) >= 2]
    without = [s for s in shapes.values() if len(s) < 2]
    assert (len(with_decay), sum(map(math.prod, with_decay))) == (50, 124_318_464)
    assert (len(without), sum(map(math.prod, without))) == (98, 121_344)
    assert decays(np.zeros((1, 1))) and not decays(np.zeros(1))


@pytest.mark.parametrize("grad_clip", [0.0, 0.5, 1e9])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_blocked_update_equals_the_formula_over_many_steps(grad_clip, dtype, tolerance):
    config = GPT2Config(vocab_size=301, n_positions=7, n_embd=96, n_layer=1, n_head=2)
    fast = init_params(config, 0, dtype)
    slow = {name: array.copy() for name, array in fast.items()}
    moments = [zero_moments(fast) for _ in range(4)]
    settings = TrainSettings(grad_clip=grad_clip, learning_rate=1e-2)
    rng = np.random.default_rng(1)
    for step in range(1, 6):
        grads = {name: rng.standard_normal(a.shape).astype(dtype) for name, a in fast.items()}
        norm = math.sqrt(sum(float((g.astype(np.float64)**2).sum()) for g in grads.values()))
        scale = min(1.0, grad_clip / (norm + 1e-6)) if grad_clip else 1.0
        clipped = {name: (g * scale).astype(dtype) for name, g in grads.items()}
        adamw_reference(slow, clipped, *moments[2:], step=step, lr=1e-2,
                        betas=(settings.beta1, settings.beta2), eps=1e-8, weight_decay=0.1)
        told = update(fast, grads, *moments[:2], step=step, lr=1e-2, settings=settings)
        assert told == pytest.approx(norm, rel=1e-5)
    for name in fast:
        np.testing.assert_allclose(fast[name], slow[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(bad):
    params = {"w": np.ones((2, 3)), "b": np.ones(3)}
    grads = {"w": np.ones((2, 3)), "b": np.array([1.0, bad, 1.0])}
    m, v = zero_moments(params), zero_moments(params)
    norm = update(params, grads, m, v, step=1, lr=1e-2, settings=TrainSettings())
    assert not math.isfinite(norm)
    for arrays, value in ((params, 1.0), (m, 0.0), (v, 0.0)):
        assert all((array == value).all() for array in arrays.values())
