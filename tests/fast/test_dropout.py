"""Dropout by bits drops what the textbook drops, in an eighth of a byte an element."""

from __future__ import annotations

import numpy as np
import pytest

from npgpt.fast import dropout as fast
from npgpt.fast.blocks import BLOCK
from npgpt.layers import dropout
from npgpt.machine import threads


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, BLOCK - 1, BLOCK + 1, 3 * BLOCK + 13])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_dropout_by_bits_is_the_textbooks_mask_at_every_border(every_size_on_threads, size, n):
    x, dout = np.random.default_rng(3).standard_normal((2, size))
    wanted, mask = dropout.dropout_forward(x, rate=0.3, rng=np.random.default_rng(4))
    with threads.using(n):
        out, cache = fast.dropout_forward(x, rate=0.3, rng=np.random.default_rng(4))
        (dx,) = fast.dropout_backward(dout, cache)
    np.testing.assert_allclose(out, wanted, rtol=1e-12)
    np.testing.assert_allclose(dx, dropout.dropout_backward(dout, mask)[0], rtol=1e-12)
    # eight numbers to a byte
    assert cache[0].nbytes == -(-size // 8)


def test_dropout_keeps_the_dtype_and_the_mean():
    x = np.ones((100, 300), np.float32)
    out, _ = fast.dropout_forward(x, rate=0.25, rng=np.random.default_rng(5))
    assert out.dtype == np.float32
    assert set(np.unique(out).tolist()) == {0.0, float(np.float32(4 / 3))}
    assert abs(out.mean() - 1) < 0.02
    same, cache = fast.dropout_forward(x, rate=0.0)
    assert same is x and fast.dropout_backward(x, cache)[0] is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_an_impossible_rate_is_rejected_with_what_would_fit(rate):
    with pytest.raises(ValueError, match=rf"expects a rate in \[0, 1\).*; got {rate}"):
        fast.dropout_forward(np.ones(3), rate=rate, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="pass rng="):
        fast.dropout_forward(np.ones(3), rate=0.5)
