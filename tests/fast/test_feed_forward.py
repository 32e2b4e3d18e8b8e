"""The fused feed-forward networks: every bias or none, borders of runs, and what is saved."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.config import ACTIVATIONS
from npgpt.fast import feed_forward as fast
from npgpt.fast.blocks import BLOCK, run_length
from npgpt.fast.ops import FAST as ops
from npgpt.generation import streamed
from npgpt.layers import feed_forward as textbook
from npgpt.machine import threads

PLAIN = [name for name in ACTIVATIONS if name != "swiglu"]
C, F = 5, 12


def example(lead, channels=C, hidden=F, maps_in=1, biases=(True, True, True), out=7, seed=0):
    """x, the maps with their biases or None, and dout (..., out)."""
    rng = np.random.default_rng(seed)
    given_biases = iter(biases)

    def bias(n):
        return rng.standard_normal(n) if next(given_biases) else None

    arrays = [rng.standard_normal((*lead, channels))]
    for _ in range(maps_in):
        arrays += [rng.standard_normal((channels, hidden)) * channels**-0.5, bias(hidden)]
    arrays += [rng.standard_normal((hidden, out)) * hidden**-0.5, bias(out)]
    return arrays, rng.standard_normal((*lead, out))


def with_slope(arrays, activation):
    return [*arrays, np.array([0.3])] if activation == "leaky_relu" else arrays


def both_ways(room, name, arrays, dout, **settings):
    out, cache = getattr(room, f"{name}_forward")(*arrays, **settings)
    return out, *getattr(room, f"{name}_backward")(dout, cache)


def assert_same(name, arrays, dout, **settings):
    got = both_ways(fast, name, arrays, dout, **settings)
    wanted = both_ways(textbook, name, arrays, dout, **settings)
    assert len(got) == len(wanted) == len(arrays) + 1
    for a, b in zip(got, wanted):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            assert np.linalg.norm(a - b) <= 1e-12 * max(np.linalg.norm(b), 1.0)


@pytest.mark.parametrize("activation", PLAIN)
@pytest.mark.parametrize("biases", list(itertools.product([True, False], repeat=2)))
def test_each_bias_may_be_there_or_not(activation, biases):
    arrays, dout = example((2, 3), biases=biases)
    assert_same("feed_forward", with_slope(arrays, activation), dout, activation=activation)


@pytest.mark.parametrize("biases", list(itertools.product([True, False], repeat=3)))
def test_each_bias_of_swiglu_may_be_there_or_not(biases):
    assert_same("swiglu", *example((2, 3), maps_in=2, biases=biases))


def test_an_activation_without_kernels_takes_the_textbooks_pair(monkeypatch):
    def tanh_forward(x):
        return np.tanh(x), np.tanh(x)

    def tanh_backward(dout, out):
        return (dout * (1 - out * out),)

    monkeypatch.setitem(textbook.ACTIVATIONS, "tanh", (tanh_forward, tanh_backward))
    assert_same("feed_forward", *example((2, 3)), activation="tanh")
    x, *arrays = example((2, 3))[0]
    np.testing.assert_allclose(streamed.feed_forward(x, *arrays, activation="tanh"),
                               ops.feed_forward(x, *arrays, activation="tanh"), rtol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows", [-1, 0, 1])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_rows_around_the_borders_of_runs_and_threads_are_the_textbook(
        activation, rows, n, every_size_on_threads):
    hidden = BLOCK // 4 + 3
    count = 3 * run_length(hidden) + rows
    with threads.using(n):
        if activation == "swiglu":
            assert_same("swiglu", *example((count,), 2, hidden, 2, out=3))
        else:
            arrays, dout = example((count,), 2, hidden, out=3)
            arrays = with_slope(arrays, activation)
            assert_same("feed_forward", arrays, dout, activation=activation)


@given(
    lead=st.lists(st.integers(0, 4), max_size=3), channels=st.integers(1, 6),
    hidden=st.integers(1, 9), out=st.integers(1, 6), activation=st.sampled_from(ACTIVATIONS),
)
@settings(max_examples=60)
def test_any_shape_agrees_with_the_textbook(lead, channels, hidden, out, activation):
    if activation == "swiglu":
        assert_same("swiglu", *example(lead, channels, hidden, 2, out=out))
    else:
        arrays, dout = example(lead, channels, hidden, out=out)
        arrays = with_slope(arrays, activation)
        assert_same("feed_forward", arrays, dout, activation=activation)


def saved_bytes(cache, given):
    """Bytes of the arrays in a cache that are not the caller's own."""
    if isinstance(cache, np.ndarray):
        theirs = any(np.shares_memory(cache, a) for a in given if a is not None)
        return 0 if theirs else cache.nbytes
    if isinstance(cache, (tuple, list)):
        return sum(saved_bytes(part, given) for part in cache)
    return 0


@pytest.mark.parametrize("activation", PLAIN)
def test_activated_layer_and_slopes_are_saved_and_the_hidden_one_for_a_learned_slope(activation):
    arrays, _ = example((2, 3))
    arrays = with_slope(arrays, activation)
    _, cache = fast.feed_forward_forward(*arrays, activation=activation)
    layers = 3 if activation == "leaky_relu" else 2
    assert saved_bytes(cache, arrays) == layers * (2 * 3 * F * 8)


@pytest.mark.parametrize("activation", PLAIN)
def test_inference_gives_the_same_out(activation):
    arrays, _ = example((2, 3))
    arrays = with_slope(arrays, activation)
    wanted, _ = fast.feed_forward_forward(*arrays, activation=activation)
    out = fast.feed_forward_inference(*arrays, activation=activation)
    np.testing.assert_array_equal(out, wanted)
    # that is what the op does with plain arrays
    np.testing.assert_array_equal(ops.feed_forward(*arrays, activation=activation), wanted)


def test_swiglu_saves_its_two_hidden_layers():
    arrays, _ = example((2, 3), maps_in=2)
    _, cache = fast.swiglu_forward(*arrays)
    assert saved_bytes(cache, arrays) == 2 * (2 * 3 * F * 8)


@pytest.mark.parametrize("name", ["feed_forward", "swiglu"])
def test_gradients_are_new_arrays_every_time(name):
    arrays, dout = example((2, 3), maps_in=2 if name == "swiglu" else 1)
    _, cache = getattr(fast, f"{name}_forward")(*arrays)
    backward = getattr(fast, f"{name}_backward")
    first = backward(dout, cache)
    copies = [grad.copy() for grad in first]
    for grad in first:
        grad[...] = np.nan
    for again, grad in zip(backward(dout, cache), copies):
        np.testing.assert_array_equal(again, grad)


def test_an_unknown_activation_is_rejected_with_those_that_are_known():
    arrays, _ = example((2, 3))
    with pytest.raises(ValueError, match="'gelu_old'; expected one of gelu_new, .*leaky_relu"):
        fast.feed_forward_forward(*arrays, activation="gelu_old")
