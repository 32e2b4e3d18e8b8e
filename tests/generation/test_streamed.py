"""The streamed ops are the textbook's, for few tokens and many, in float and in int8."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.fast.ops import FAST
from npgpt.generation import streamed
from npgpt.generation.quantized import quantized
from npgpt.generation.streamed import FEW, STREAMED, linear_matmul, table_matmul
from npgpt.machine import threads
from npgpt.ops import TEXTBOOK
from npgpt.tape import Tape

from .test_fast_reader import close

RNG = np.random.default_rng(0)


def drawn(*shape):
    return RNG.standard_normal(shape)


FC, PROJ, BIAS, NARROW = drawn(6, 10), drawn(10, 6), drawn(10), drawn(6)
WEIGHTS = {
    "layernorm": ((drawn(6), NARROW), {"eps": 0.1}),
    "linear": ((FC, BIAS), {}),
    "unembedding": ((PROJ,), {}),
    "feed_forward": ((FC, BIAS, PROJ, NARROW), {"activation": "relu"}),
    "swiglu": ((FC, None, drawn(6, 10), BIAS, PROJ, None), {}),
}


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (3, FEW)], ids=["one", "few", "many"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_every_streamed_op_equals_its_textbook(name, shape):
    arrays, given_settings = WEIGHTS[name]
    x = drawn(*shape, 6)
    got = getattr(STREAMED, name)(x, *arrays, **given_settings)
    close(got, getattr(TEXTBOOK, name)(x, *arrays, **given_settings), 1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (3, FEW)], ids=["one", "many"])
@pytest.mark.parametrize("name", ["linear", "unembedding", "feed_forward", "swiglu"])
def test_int8_weights_count_as_what_they_widen_to(name, shape):
    arrays, given_settings = WEIGHTS[name]
    small = [quantized(a, by_rows=name == "unembedding") if a is not None and a.ndim == 2 else a
             for a in arrays]
    wide = [a.widened() if hasattr(a, "widened") else a for a in small]
    x = drawn(*shape, 6)
    got = getattr(STREAMED, name)(x, *small, **given_settings)
    close(got, getattr(TEXTBOOK, name)(x, *wide, **given_settings), 1e-12)


@pytest.mark.parametrize("count, seen", [(1, 1), (1, 9), (4, 4), (5, 9), (FEW, FEW + 3)])
def test_attention_of_the_last_positions_equals_the_textbook(
    count, seen, two_threads, monkeypatch
):
    q, k, v = drawn(2, 3, count, 4), drawn(2, 3, seen, 4), drawn(2, 3, seen, 4)
    for keys in (threads.THRESHOLDS.keys, 0):
        monkeypatch.setattr(threads.THRESHOLDS, "keys", keys)
        close(STREAMED.causal_attention(q, k, v), TEXTBOOK.causal_attention(q, k, v), 1e-12)


def test_gradients_are_those_of_the_fast_ops():
    x = drawn(2, 3, 6)
    grads = []
    for ops in (STREAMED, FAST):
        tape = Tape()
        var = tape.watch(x)
        grads.append(tape.backward(ops.linear(var, FC, BIAS), np.ones((2, 3, 10)))[var])
    np.testing.assert_array_equal(*grads)


@contextmanager
def small_tiles():
    """Tiles that small matrices have several of, on all threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads.THRESHOLDS, "stream", 0)
        for name, size in {"TILE": 100, "TILE_WORK": 500, "TILE_ROWS": 7, "TABLE_ROWS": 5}.items():
            patch.setattr(streamed, name, size)
        yield


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 70), st.integers(1, 40), st.integers(1, 3),
       st.sampled_from([np.float32, np.float64]), st.booleans())
def test_tiles_equal_the_plain_matmul(n, rows, columns, n_threads, dtype, transposed):
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((n, rows)).astype(dtype)
    weight = rng.standard_normal((rows, columns)).astype(dtype)
    if transposed:
        weight = np.asfortranarray(weight)
    table = rng.standard_normal((columns, rows)).astype(dtype)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    with small_tiles(), threads.using(n_threads):
        close(linear_matmul(x, weight), x @ weight, tolerance)
        close(table_matmul(x, table), x @ table.T, tolerance)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 300), st.integers(1, 40), st.integers(1, 3))
def test_tiles_of_int8_equal_the_widened_matmul(n, rows, columns, n_threads):
    rng = np.random.default_rng(columns)
    x = rng.standard_normal((n, rows))
    linear = quantized(rng.standard_normal((rows, columns)), by_rows=False)
    table = quantized(rng.standard_normal((columns, rows)), by_rows=True)
    with small_tiles(), threads.using(n_threads):
        got, got_table = linear_matmul(x, linear), table_matmul(x, table)
    np.testing.assert_allclose(got, x @ linear.widened(), rtol=0, atol=1e-12 * rows * 10)
    np.testing.assert_allclose(got_table, x @ table.widened().T, rtol=0, atol=1e-12 * rows * 10)
