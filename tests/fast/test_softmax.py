"""Softmax in runs of rows is the textbook around every border."""

from __future__ import annotations

import numpy as np
import pytest

from npgpt.fast import softmax as fast
from npgpt.fast.blocks import BLOCK
from npgpt.layers import softmax
from npgpt.machine import threads


@pytest.mark.parametrize("rows", [1, 4, 5, 6, 11])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_softmax_around_the_borders_of_runs_is_the_textbook(every_size_on_threads, rows, n):
    width = BLOCK // 5
    x, dout = np.random.default_rng(rows).standard_normal((2, rows, width))
    x[0, 3], x[-1, 7] = 1e4, -np.inf
    wanted, wanted_cache = softmax.softmax_forward(x)
    with threads.using(n):
        out, cache = fast.softmax_forward(x)
        (dx,) = fast.softmax_backward(dout, cache)
    np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-300)
    (wanted_dx,) = softmax.softmax_backward(dout, wanted_cache)
    assert np.linalg.norm(dx - wanted_dx) <= 1e-12 * np.linalg.norm(wanted_dx)
    np.testing.assert_allclose(out.sum(axis=1), 1, rtol=1e-12)
