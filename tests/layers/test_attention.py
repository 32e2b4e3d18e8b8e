from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.attention import (
    causal_attention_backward,
    causal_attention_forward,
    merge_heads,
    multi_head_attention_backward,
    multi_head_attention_forward,
    split_heads,
    split_qkv,
)
from npgpt.selfcheck.cases import FixedUniform

pytestmark = pytest.mark.smoke

B, H, T, S, D, C = 2, 4, 3, 5, 2, 8


def draw(seed: int, keys: int = T) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((B, H, n, D)) for n in (T, keys, keys))


def one_query_at_a_time(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Attention for (T, D) and (S, D) in plain Python."""
    past = len(k) - len(q)
    out = []
    for t, query in enumerate(q):
        seen = range(past + t + 1)
        powers = [math.exp(math.fsum(query * k[s]) / math.sqrt(len(query))) for s in seen]
        total = math.fsum(powers)
        out.append(sum(power / total * v[s] for power, s in zip(powers, seen)))
    return np.array(out)


@pytest.mark.parametrize("keys", [T, S])
def test_values_agree_with_one_query_at_a_time(keys):
    q, k, v = draw(0, keys)
    out, _ = causal_attention_forward(q, k, v)
    for b, h in np.ndindex(B, H):
        expected = one_query_at_a_time(q[b, h], k[b, h], v[b, h])
        np.testing.assert_allclose(out[b, h], expected, rtol=1e-12)


@pytest.mark.parametrize("leading", [(), (3,), (2, 1, 2)])
def test_any_number_of_leading_axes_may_stand_before_queries_and_keys(leading, rng):
    q, k, v = (rng.standard_normal((*leading, n, D)) for n in (T, S, S))
    out, cache = causal_attention_forward(q, k, v)
    for index in np.ndindex(leading):
        np.testing.assert_allclose(out[index], one_query_at_a_time(q[index], k[index], v[index]),
                                   rtol=1e-12)
    grads = causal_attention_backward(out, cache)
    assert [g.shape for g in grads] == [q.shape, k.shape, v.shape]


@given(st.integers(0, T - 2), st.integers(0, 1000))
def test_future_tokens_do_not_change_past_outputs(t, seed):
    q, k, v = draw(seed)
    before, _ = causal_attention_forward(q, k, v)
    for array in (q, k, v):
        array[:, :, t + 1:] = 1e3 * np.random.default_rng(seed + 1).standard_normal(
            array[:, :, t + 1:].shape)
    after, _ = causal_attention_forward(q, k, v)
    np.testing.assert_array_equal(before[:, :, :t + 1], after[:, :, :t + 1])
    assert (before[:, :, t + 1:] != after[:, :, t + 1:]).any()


def test_past_outputs_send_no_gradient_to_the_future():
    q, k, v = draw(1)
    out, cache = causal_attention_forward(q, k, v)
    dout = np.zeros_like(out)
    dout[:, :, 0] = 1.0
    _, dk, dv = causal_attention_backward(dout, cache)
    assert (dk[:, :, 1:] == 0).all() and (dv[:, :, 1:] == 0).all()


def test_first_position_sees_itself_alone():
    q, k, v = draw(2)
    out, cache = causal_attention_forward(1e4 * q, 1e4 * k, v)
    np.testing.assert_array_equal(out[:, :, 0], v[:, :, 0])
    dout = np.zeros_like(out)
    dout[:, :, 0] = 3.0
    dq, dk, dv = causal_attention_backward(dout, cache)
    assert (dq == 0).all() and (dk == 0).all()
    np.testing.assert_array_equal(dv[:, :, 0], dout[:, :, 0])


def test_scores_of_ten_thousand_pick_the_best_key_without_overflow():
    q = np.full((1, T, D), 100.0)
    k = np.array([[[100.0, 100.0], [-100.0, -100.0], [99.0, 99.0]]])
    v = np.array([[[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]])
    out, cache = causal_attention_forward(q, k, v)      # scores of +-1.4e4
    np.testing.assert_allclose(out[0], [[1.0, 0.0]] * 3, atol=1e-40)
    assert all(np.isfinite(g).all() for g in causal_attention_backward(out, cache))


def test_queries_with_a_past_are_the_last_positions():
    _, k, v = draw(3, S)
    q = np.random.default_rng(4).standard_normal((B, H, S, D))
    whole, _ = causal_attention_forward(q, k, v)
    last, _ = causal_attention_forward(q[:, :, -T:], k, v)
    np.testing.assert_allclose(last, whole[:, :, -T:], rtol=1e-14)


def test_more_queries_than_keys_are_rejected():
    q, k, v = draw(0)
    with pytest.raises(ValueError, match="3 queries, 2 keys"):
        causal_attention_forward(q, k[:, :, :2], v[:, :, :2])


def test_a_constant_added_to_every_key_changes_nothing_so_its_gradient_is_0():
    q, k, v = draw(5)
    before, cache = causal_attention_forward(q, k, v)
    after, _ = causal_attention_forward(q, k + np.array([3.0, -2.0]), v)
    np.testing.assert_allclose(before, after, rtol=1e-12)
    _, dk, _ = causal_attention_backward(np.cos(before), cache)
    np.testing.assert_allclose(dk.sum(axis=2), 0.0, atol=1e-14)


def test_dropout_removes_weights_and_scales_up_the_rest():
    class EveryOther:
        def random(self, size=None):
            return np.arange(math.prod(size)).reshape(size) % 2.0      # 0, 1, 0, 1, ...

    q, k = np.zeros((1, 4, D)), np.zeros((1, 4, D))        # equal weights for all keys
    v = np.array([[[1.0, 0.0], [10.0, 0.0], [100.0, 0.0], [1000.0, 0.0]]])
    out, _ = causal_attention_forward(q, k, v, rate=0.5, rng=EveryOther())
    np.testing.assert_allclose(out[0, :, 0], [2, 2 / 2, 202 / 3, 202 / 4], rtol=1e-14)


def test_a_head_is_a_run_of_neighbouring_channels():
    x = np.arange(B * T * C).reshape(B, T, C)
    heads = split_heads(x, H)
    assert heads.shape == (B, H, T, D)
    np.testing.assert_array_equal(heads[1, 2], x[1][:, [4, 5]])


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_merging_heads_undoes_splitting_them(b, t, h, d):
    x = np.arange(b * t * h * d).reshape(b, t, h * d)
    np.testing.assert_array_equal(merge_heads(split_heads(x, h)), x)
    heads = x.reshape(b, h, t, d)
    np.testing.assert_array_equal(split_heads(merge_heads(heads), h), heads)


def test_heads_that_do_not_divide_the_channels_are_rejected():
    with pytest.raises(ValueError, match="n_head=3 does not divide the 8 channels"):
        split_heads(np.zeros((B, T, C)), 3)


def test_queries_keys_and_values_lie_in_this_order():
    q, k, v = split_qkv(np.arange(6.0).reshape(1, 1, 6))
    np.testing.assert_array_equal([q[0, 0], k[0, 0], v[0, 0]], [[0, 1], [2, 3], [4, 5]])
    with pytest.raises(ValueError, match="got 8, which 3 does not divide"):
        split_qkv(np.zeros((1, 1, 8)))


def test_every_head_attends_by_itself(rng):
    qkv = rng.standard_normal((B, T, 3 * C))
    out, _ = multi_head_attention_forward(qkv, n_head=H)
    for b, h in np.ndindex(B, H):
        channels = np.arange(h * D, (h + 1) * D)
        q, k, v = (qkv[b][:, part * C + channels] for part in range(3))
        np.testing.assert_allclose(out[b][:, channels], one_query_at_a_time(q, k, v), rtol=1e-12)


def test_the_weights_of_every_head_are_dropped_as_those_of_attention_are(rng):
    qkv = rng.standard_normal((B, T, 3 * C))
    parts = [split_heads(part, H) for part in split_qkv(qkv)]
    expected, _ = causal_attention_forward(*parts, rate=0.25, rng=FixedUniform(2))
    out, _ = multi_head_attention_forward(qkv, n_head=H, rate=0.25, rng=FixedUniform(2))
    np.testing.assert_array_equal(out, merge_heads(expected))
    assert (out != multi_head_attention_forward(qkv, n_head=H)[0]).any()


def test_future_tokens_do_not_change_past_outputs_of_any_head(rng):
    qkv = rng.standard_normal((B, T, 3 * C))
    before, _ = multi_head_attention_forward(qkv, n_head=H)
    qkv[:, 1:] *= -7.0
    after, _ = multi_head_attention_forward(qkv, n_head=H)
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    assert (before[:, 1:] != after[:, 1:]).any()


@pytest.mark.parametrize("keys", [T, S])
@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_gradients_agree_with_the_numbers(keys, rate):
    prove_gradients(
        causal_attention_forward, causal_attention_backward, *draw(6, keys),
        rate=rate, rng=FixedUniform(2),
    )


@pytest.mark.parametrize("rate", [0.0, 0.25])
@pytest.mark.parametrize("n_head", [1, 4])
def test_gradients_of_many_heads_agree_with_the_numbers(n_head, rate, rng):
    prove_gradients(
        multi_head_attention_forward, multi_head_attention_backward,
        rng.standard_normal((B, T, 3 * C)), n_head=n_head, rate=rate, rng=FixedUniform(3),
    )
