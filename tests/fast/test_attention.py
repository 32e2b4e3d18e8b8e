"""Attention in blocks: lengths around the borders, stacks, dropout, and the memory it takes."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.fast import attention, scores
from npgpt.fast.attention import KEEP_KEYS
from npgpt.fast.scores import LONG, QUERIES, TALL
from npgpt.layers import attention as textbook
from npgpt.machine import threads
from npgpt.training.step.row_random import RowRandom


def example(b, h, t, s, d, dv=None, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = ((b, h, t, d), (b, h, s, d), (b, h, s, dv or d), (b, h, t, dv or d))
    q, k, v, dout = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return (q, k, v), dout


def assert_close(got, wanted):
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert np.linalg.norm(a - b) <= 1e-12 * max(np.linalg.norm(b), 1.0)


def both_ways(pair, inputs, dout, **source):
    out, cache = pair.causal_attention_forward(*inputs, **source)
    return (out, *pair.causal_attention_backward(dout, cache))


@pytest.mark.parametrize("past", [0, 1, QUERIES + 3])
@pytest.mark.parametrize("t", [
    1, QUERIES - 1, QUERIES, QUERIES + 1, 2 * QUERIES - 1, 2 * QUERIES, 2 * QUERIES + 1,
    3 * QUERIES + 5,
])
def test_lengths_around_the_borders_of_blocks_are_the_textbook(t, past):
    inputs, dout = example(2, 3, t, t + past, 5, dv=4)
    assert_close(both_ways(attention, inputs, dout), both_ways(textbook, inputs, dout))


@pytest.mark.parametrize("t, s", [
    (LONG - 1, LONG - 1), (LONG, LONG), (LONG + 1, LONG + 1), (1000, 1000), (4 * QUERIES, LONG + 3),
    (TALL + 1, TALL + 1), (TALL + 77, TALL + 200), (5, 40 * LONG),
])
def test_long_contexts_are_the_textbook(t, s):
    inputs, dout = example(1, 2, t, s, 5, dv=4)
    assert_close(both_ways(attention, inputs, dout), both_ways(textbook, inputs, dout))
    source = {"rate": 0.3, "rng": np.random.default_rng(5)}
    got, wanted = (both_ways(pair, inputs, dout, **copy.deepcopy(source))
                   for pair in (attention, textbook))
    assert_close(got, wanted)


@pytest.mark.parametrize("keys", [KEEP_KEYS - 1, KEEP_KEYS, KEEP_KEYS + 1])
def test_weights_are_saved_up_to_a_length_and_then_computed_again(keys):
    inputs, dout = example(1, 2, QUERIES + 1, keys, 3)
    out, saved = attention.causal_attention_forward(*inputs)
    assert bool(saved.weights) == (keys <= KEEP_KEYS)
    assert_close(both_ways(attention, inputs, dout), both_ways(textbook, inputs, dout))


@pytest.mark.parametrize("heads_in_a_stack", [1, 2, 3, 5, 12])
def test_any_cut_into_stacks_is_the_textbook(monkeypatch, heads_in_a_stack):
    t, s = 9, 11
    monkeypatch.setattr(scores, "STACK", heads_in_a_stack * t * s)
    inputs, dout = example(4, 5, t, s, 3, dv=2)
    assert_close(both_ways(attention, inputs, dout), both_ways(textbook, inputs, dout))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_heads_of_a_model_on_threads_are_the_textbook(n):
    b, h, t, d = 2, 3, 2 * QUERIES + 7, 4
    rng = np.random.default_rng(4)
    qkv, dout = rng.standard_normal((b, t, 3 * h * d)), rng.standard_normal((b, t, h * d))
    out, cache = textbook.multi_head_attention_forward(qkv, n_head=h)
    with threads.using(n):
        fast_out, fast_cache = attention.multi_head_attention_forward(qkv, n_head=h)
        fast_dqkv = attention.multi_head_attention_backward(dout, fast_cache)
    assert_close([fast_out, *fast_dqkv],
                 [out, *textbook.multi_head_attention_backward(dout, cache)])


@pytest.mark.parametrize("t", [7, QUERIES + 1, 2 * QUERIES + 9, TALL + 9])
def test_rows_that_need_a_shift_stand_beside_rows_that_need_none(t):
    (q, k, v), dout = example(1, 3, t, t + 2, 4)
    # exp overflows in the first head, and vanishes in the second
    q[0, 0], k[0, 0] = 60 * q[0, 0], 60 * k[0, 0]
    q[0, 1], k[0, 1] = 40 + np.abs(q[0, 1]), -40 - np.abs(k[0, 1])
    out, saved = attention.causal_attention_forward(q, k, v)
    assert saved.shifts
    got, wanted = (both_ways(pair, (q, k, v), dout) for pair in (attention, textbook))
    # scores of thousands have a rounding of 1e-12, and exp makes it relative
    for a, b in zip(got, wanted):
        assert np.linalg.norm(a - b) <= 1e-10 * np.linalg.norm(b)


def test_float32_scores_whose_exp_is_hardly_a_number_are_shifted():
    inputs, dout = example(1, 2, 6, 9, 4, dtype=np.float32)
    # each score is about -98: exp of that is a denormal, and has lost most of its digits
    inputs[0][..., 0], inputs[1][..., 0] = 14, -14
    out, cache = attention.causal_attention_forward(*inputs)
    wanted, _ = textbook.causal_attention_forward(*(a.astype(float) for a in inputs))
    assert np.abs(out - wanted).max() <= 1e-4
    assert cache.shifts


@given(
    b=st.integers(1, 2), h=st.integers(1, 3), t=st.integers(1, 2 * QUERIES + 2),
    past=st.sampled_from([0, 5, QUERIES]), rate=st.sampled_from([0.1, 0.5, 0.9]),
)
@settings(max_examples=20)
def test_forward_and_backward_drop_what_the_textbook_drops(b, h, t, past, rate):
    inputs, dout = example(b, h, t, t + past, 3, seed=t)
    got, wanted = (
        both_ways(pair, inputs, dout, rate=rate, rng=np.random.default_rng(5))
        for pair in (attention, textbook)
    )
    assert_close(got, wanted)


def test_what_forward_dropped_gets_no_gradient():
    t = s = QUERIES + 3
    (q, k, _), _ = example(1, 1, t, s, 3)
    # with the identity for values, out is the weights after dropout, and dv is their transpose
    v = np.eye(s)[None, None]
    out, cache = attention.causal_attention_forward(
        q, k, v, rate=0.4, rng=np.random.default_rng(6)
    )
    _, _, dv = attention.causal_attention_backward(np.eye(t)[None, None], cache)
    np.testing.assert_allclose(dv, out.swapaxes(-1, -2), rtol=1e-12)
    visible = np.tri(t, dtype=bool)
    fraction = (out[0, 0][visible] == 0).mean()
    assert 0.35 < fraction < 0.45
    assert not out[0, 0][~visible].any()


@pytest.mark.parametrize("source", ["numpy", "rows"])
def test_several_stacks_draw_what_one_draw_gives(monkeypatch, source):
    inputs, dout = example(4, 3, 6, 8, 2)
    wanted = None
    for stack in (2**17, 2 * 6 * 8, 6 * 6 * 8):
        monkeypatch.setattr(scores, "STACK", stack)
        rng = RowRandom(1, 2, 3, rows=4) if source == "rows" else np.random.default_rng(8)
        got = both_ways(attention, inputs, dout, rate=0.3, rng=rng)
        if wanted is not None:
            assert_close(got, wanted)
        wanted = wanted or got


def test_dropout_saves_one_bit_for_a_visible_score():
    t = 2 * QUERIES
    inputs, _ = example(2, 3, t, t, 4)
    _, saved = attention.causal_attention_forward(
        *inputs, rate=0.2, rng=np.random.default_rng(0)
    )
    # the first block of queries sees the first block of keys only
    scores = 2 * 3 * (QUERIES * QUERIES + QUERIES * t)
    assert sum(bits.nbytes for bits in saved.bits.values()) == scores // 8


# a block of dropout's draws is float64: longer, so that a square stands out all the same
@pytest.mark.parametrize("rate, t", [(0.0, 16 * QUERIES), (0.1, 32 * QUERIES)])
def test_neither_way_ever_holds_a_square_of_the_context(rate, t):
    inputs, dout = example(1, 2, t, t, 4, dtype=np.float32)
    with threads.using(1):
        tracemalloc.start()
        try:
            both_ways(attention, inputs, dout, rate=rate, rng=np.random.default_rng(0))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < t * t * 4 / 2


def test_memory_grows_with_the_context_and_not_with_its_square():
    peaks = []
    for t in (2 * TALL, 4 * TALL, 8 * TALL):
        inputs, dout = example(1, 1, t, t, 3, dtype=np.float32)
        tracemalloc.start()
        with threads.using(1):
            both_ways(attention, inputs, dout)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # what does not grow, such as a tile of scores, cancels
    assert peaks[2] - peaks[1] < 2.2 * (peaks[1] - peaks[0])


def test_no_query_learns_of_the_future_even_from_infinite_scores():
    t = QUERIES + 2
    (q, k, v), _ = example(1, 1, t, t, 3)
    out, _ = attention.causal_attention_forward(q, k, v)
    k[..., -1, :], v[..., -1, :] = 1e200, 1e200
    changed, _ = attention.causal_attention_forward(q, k, v)
    np.testing.assert_allclose(changed[..., :-1, :], out[..., :-1, :], rtol=1e-12)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 1, 3)])
def test_any_number_of_leading_axes_will_do(lead):
    rng = np.random.default_rng(9)
    inputs = [rng.standard_normal((*lead, n, 5)) for n in (4, 7, 7)]
    dout = rng.standard_normal((*lead, 4, 5))
    assert_close(both_ways(attention, inputs, dout), both_ways(textbook, inputs, dout))


def test_more_queries_than_keys_and_shared_keys_are_rejected():
    (q, k, v), _ = example(1, 2, 3, 3, 4)
    with pytest.raises(ValueError, match="3 queries, 2 keys"):
        attention.causal_attention_forward(q, k[:, :, :2], v[:, :, :2])
    with pytest.raises(ValueError, match=r"alike before that; got q \(1, 2, 3, 4\), k \(1, 1, "):
        attention.causal_attention_forward(q, k[:, :1], v[:, :1])


@pytest.mark.parametrize("t", [6, QUERIES + 3, TALL + 3])
def test_a_key_that_is_not_a_number_is_not_seen_before_its_time(t):
    inputs, _ = example(1, 1, t, t, 3)
    wanted, _ = textbook.causal_attention_forward(*inputs)
    for bad in (np.nan, np.inf):
        inputs[1][0, 0, t - 2, 1] = bad
        out, _ = attention.causal_attention_forward(*inputs)
        np.testing.assert_allclose(out[0, 0, :t - 2], wanted[0, 0, :t - 2], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("score", [30.0, 34.0, 62.0, 80.0])
def test_small_gradients_survive_large_scores_in_float32(score):
    inputs, dout = example(1, 2, 40, 300, 4, dtype=np.float32)
    inputs[0][..., 0] = inputs[1][..., 0] = np.sqrt(2 * score)
    dout *= np.float32(1e-12)
    got = both_ways(attention, inputs, dout)
    exact = both_ways(textbook, [a.astype(float) for a in inputs], dout.astype(float))
    for a, b in zip(got, exact):
        assert np.linalg.norm(a - b) <= 1e-3 * np.linalg.norm(b)
