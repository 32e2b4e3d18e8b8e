"""AdamW: the formula by hand, decay groups, clipping, and the blocked version against it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.config import EntropyPenalty, GPT2Config
from npgpt.machine import threads
from npgpt.params import init_params, parameter_shapes
from npgpt.training.step.adamw import (
    adamw_reference,
    adamw_step,
    clipping,
    decaying,
    global_norm,
    zero_moments,
)

SHAPES = {"w": (300, 700), "b": (5,), "empty": (0, 3), "v": (3, 4, 5)}


def states(dtype, seed=0):
    rng = np.random.default_rng(seed)

    def draw(square=False):
        arrays = {n: rng.standard_normal(s).astype(dtype) for n, s in SHAPES.items()}
        return {n: a * a for n, a in arrays.items()} if square else arrays

    return draw(), draw(), draw(), draw(square=True)


@pytest.mark.smoke
@pytest.mark.parametrize("dtype,tolerance", [(np.float32, 1e-6), (np.float64, 1e-14)])
@given(
    step=st.integers(1, 5000), lr=st.floats(1e-5, 1e-1), scale=st.floats(0.01, 1.0),
    decay=st.sampled_from([0.0, 0.1]), eps=st.sampled_from([1e-8, 1e-3]),
)
@settings(max_examples=15, deadline=None)
def test_one_update_is_the_plain_formula(dtype, tolerance, step, lr, scale, decay, eps):
    params, grads, m, v = states(dtype)
    setting = dict(
        step=step, lr=lr, betas=(0.9, 0.95), eps=eps, decay_names={"w", "v"},
        weight_decay=decay, grad_scale=scale,
    )
    wanted = [{name: a.astype(np.float64) for name, a in arrays.items()}
              for arrays in (params, grads, m, v)]
    adamw_reference(*wanted, **setting)
    kept = {name: g.copy() for name, g in grads.items()}
    adamw_step(params, grads, m, v, **setting)
    for got, want in zip((params, m, v), (wanted[0], *wanted[2:])):
        for name, array in got.items():
            assert array.dtype == dtype
            np.testing.assert_allclose(array, want[name], rtol=20 * tolerance, atol=tolerance)
    for name, array in grads.items():
        np.testing.assert_array_equal(array, kept[name])


def test_any_number_of_threads_gives_the_same_bits(every_size_on_threads):
    results = []
    for n in (1, 2, 3):
        params, grads, m, v = states(np.float32)
        with threads.using(n):
            adamw_step(params, grads, m, v, step=3, lr=0.1, betas=(0.9, 0.99), eps=1e-8,
                       decay_names={"w"}, weight_decay=0.1)
            results.append((params["w"], m["w"], v["w"], global_norm(grads)))
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


def test_names_that_do_not_decay_stay_where_no_gradient_moves_them():
    params = {"a": np.ones(3), "b": np.ones(3)}
    zeros = [{n: np.zeros(3) for n in params} for _ in range(3)]
    adamw_step(params, *zeros, step=1, lr=0.5, betas=(0.9, 0.99), eps=1e-8,
               decay_names={"a"}, weight_decay=0.1)
    np.testing.assert_allclose(params["a"], 0.95)
    np.testing.assert_array_equal(params["b"], 1.0)


def test_step_zero_and_arrays_in_pieces_are_rejected():
    one = {"w": np.ones((4, 4))}
    setting = dict(lr=0.1, betas=(0.9, 0.99), eps=1e-8, decay_names=(), weight_decay=0.0)
    with pytest.raises(ValueError, match="counts its updates from 1"):
        adamw_step(one, one, one, one, step=0, **setting)
    with pytest.raises(ValueError, match="w: AdamW works in place"):
        adamw_step({"w": np.ones((4, 4)).T[::2]}, one, one, one, step=1, **setting)


@given(st.lists(st.floats(-1e300, 1e300), max_size=30))
@settings(max_examples=50, deadline=None)
def test_the_norm_is_the_root_of_the_sum_of_squares(numbers):
    numbers = [x / 1e150 for x in numbers]
    array = np.array(numbers)
    assert math.isclose(global_norm({"a": array, "b": -array}), math.sqrt(2) * math.hypot(*numbers),
                        rel_tol=1e-12, abs_tol=1e-150)


def test_the_norm_of_large_float32_numbers_does_not_overflow():
    grads = {"a": np.full(70000, 1e30, np.float32)}
    assert math.isclose(global_norm(grads), 1e30 * math.sqrt(70000), rel_tol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_one_number_that_is_not_finite_is_seen_in_the_norm(bad):
    grads = {"a": np.ones((500, 300), np.float32), "b": np.ones(3)}
    grads["a"][321, 123] = bad
    assert not math.isfinite(global_norm(grads))


RULE = {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}


def test_the_first_step_moves_each_element_by_the_rate_against_its_gradients_sign():
    params = {"b": np.array([1.0, -2.0, 3.0])}
    grads = {"b": np.array([0.5, -4.0, 1e-3])}
    m, v = zero_moments(params), zero_moments(params)
    adamw_reference(params, grads, m, v, step=1, decay_names=decaying(params), **RULE)
    np.testing.assert_allclose(params["b"], [1.0 - 1e-2, -2.0 + 1e-2, 3.0 - 1e-2], rtol=1e-6)


def test_decay_shrinks_matrices_and_leaves_vectors():
    params = {"w": np.ones((2, 3)), "b": np.ones(3)}
    grads = zero_moments(params)
    adamw_reference(params, grads, zero_moments(params), zero_moments(params), step=1,
                    decay_names=decaying(params), **RULE)
    np.testing.assert_allclose(params["w"], 1 - 1e-2 * 0.1, rtol=1e-12)
    np.testing.assert_array_equal(params["b"], np.ones(3))


def test_slopes_decay_only_where_that_is_asked_for():
    config = GPT2Config(vocab_size=5, n_positions=3, n_embd=4, n_layer=1, n_head=2,
                        activation_function="leaky_relu", weight_norm=True,
                        entropy=EntropyPenalty(1.0))
    params = init_params(config, dtype=np.float64)
    assert decaying(params) == {name for name, a in params.items() if a.ndim == 2}
    assert decaying(params, slopes=True) - decaying(params) == {"h.0.mlp.act.slope"}
    grads = zero_moments(params)
    for slope_decay in (False, True):
        before = params["h.0.mlp.act.slope"].copy()
        adamw_step(params, grads, zero_moments(params), zero_moments(params), step=1,
                   decay_names=decaying(params, slope_decay), **RULE)
        expected = before * (1 - 1e-3) if slope_decay else before
        np.testing.assert_allclose(params["h.0.mlp.act.slope"], expected, rtol=1e-12)


def test_decay_groups_of_the_124m_model_have_the_known_sizes():
    shapes = parameter_shapes(GPT2Config())
    with_decay = [s for s in shapes.values() if len(s) >= 2]
    without = [s for s in shapes.values() if len(s) < 2]
    assert (len(with_decay), sum(map(math.prod, with_decay))) == (50, 124_318_464)
    assert (len(without), sum(map(math.prod, without))) == (98, 121_344)
    assert decaying({"w": np.zeros((1, 1)), "b": np.zeros(1)}) == {"w"}


@pytest.mark.parametrize("grad_clip", [0.0, 0.5, 1e9])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_blocked_update_equals_the_formula_over_many_steps(grad_clip, dtype, tolerance):
    config = GPT2Config(vocab_size=301, n_positions=7, n_embd=96, n_layer=1, n_head=2)
    fast = init_params(config, 0, dtype)
    slow = {name: array.copy() for name, array in fast.items()}
    moments = [zero_moments(fast) for _ in range(4)]
    rng = np.random.default_rng(1)
    for step in range(1, 6):
        grads = {name: rng.standard_normal(a.shape).astype(dtype) for name, a in fast.items()}
        norm = math.sqrt(sum(float((g.astype(np.float64)**2).sum()) for g in grads.values()))
        scale = min(1.0, grad_clip / (norm + 1e-6)) if grad_clip else 1.0
        rule = {"step": step, "decay_names": decaying(fast), **RULE}
        adamw_reference(slow, grads, *moments[2:], grad_scale=scale, **rule)
        found = global_norm(grads)
        assert found == pytest.approx(norm, rel=1e-5)
        adamw_step(fast, grads, *moments[:2], grad_scale=clipping(found, grad_clip), **rule)
    for name in fast:
        np.testing.assert_allclose(fast[name], slow[name], rtol=tolerance, atol=tolerance)
