import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.machine import threads
from npgpt.training.step import adamw
from npgpt.training.step.adamw import adamw_step, global_norm

SHAPES = {"w": (300, 700), "b": (5,), "empty": (0, 3), "v": (3, 4, 5)}


def states(dtype, seed=0):
    rng = np.random.default_rng(seed)

    def draw(square=False):
        arrays = {n: rng.standard_normal(s).astype(dtype) for n, s in SHAPES.items()}
        return {n: a * a for n, a in arrays.items()} if square else arrays

    return draw(), draw(), draw(), draw(square=True)


def plain(params, grads, m, v, step, lr, betas, eps, decay_names, weight_decay, grad_scale):
    """The formula, word for word, in float64."""
    result = {}
    for name in params:
        p, g, a, b = (d[name].astype(np.float64) for d in (params, grads, m, v))
        g = g * grad_scale
        a = betas[0] * a + (1 - betas[0]) * g
        b = betas[1] * b + (1 - betas[1]) * g * g
        if name in decay_names:
            p = p * (1 - lr * weight_decay)
        p = p - lr * (a / (1 - betas[0]**step)) / (np.sqrt(b / (1 - betas[1]**step)) + eps)
        result[name] = (p, a, b)
    return result


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
    wanted = plain(params, grads, m, v, **setting)
    kept = {name: g.copy() for name, g in grads.items()}
    adamw_step(params, grads, m, v, **setting)
    for name, triple in wanted.items():
        for got, want in zip((params[name], m[name], v[name]), triple):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=20 * tolerance, atol=tolerance)
        np.testing.assert_array_equal(grads[name], kept[name])


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    # few enough for a test are otherwise too few for threads
    monkeypatch.setattr(adamw, "UPDATE", 0)
    monkeypatch.setattr(adamw, "NORM", 0)
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


def test_step_zero_and_arrays_in_pieces_are_refused():
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
