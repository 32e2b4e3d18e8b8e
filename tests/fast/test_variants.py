"""The ops of the variants: the textbook's numbers on any number of threads, and little memory."""

from __future__ import annotations

import numpy as np
import pytest

from npgpt.fast import threads, variants
from npgpt.layers import attention_entropy as textbook


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("dtype, share", [("float64", 1e-13), ("float32", 2e-5)])
def test_the_entropy_of_many_texts_is_the_textbooks_on_any_threads(monkeypatch, n, dtype, share):
    monkeypatch.setattr(variants, "ELEMENTS", 1)
    rng = np.random.default_rng(0)
    qkv, dout = rng.standard_normal((7, 33, 24)).astype(dtype), rng.standard_normal(4).astype(dtype)
    out, cache = textbook.attention_entropy_forward(qkv, n_head=4)
    (dqkv,) = textbook.attention_entropy_backward(dout, cache)
    with threads.using(n):
        fast_out, fast_cache = variants.attention_entropy_forward(qkv, n_head=4)
        (fast_dqkv,) = variants.attention_entropy_backward(dout, fast_cache)
    np.testing.assert_allclose(fast_out, out, rtol=share)
    np.testing.assert_allclose(fast_dqkv, dqkv, rtol=0, atol=share * np.abs(dqkv).max())
    assert fast_out.dtype == fast_dqkv.dtype == dtype


def test_the_number_of_threads_does_not_change_a_bit(monkeypatch):
    monkeypatch.setattr(variants, "ELEMENTS", 1)
    qkv = np.random.default_rng(0).standard_normal((7, 33, 24)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        with threads.using(n):
            out, cache = variants.attention_entropy_forward(qkv, n_head=4)
            results.append((out, *variants.attention_entropy_backward(np.ones(4, "f4"), cache)))
    for out, dqkv in results[1:]:
        np.testing.assert_array_equal(out, results[0][0])
        np.testing.assert_array_equal(dqkv, results[0][1])


def test_nothing_is_kept_for_backward_but_the_input():
    qkv = np.random.default_rng(0).standard_normal((2, 9, 12))
    _, cache = variants.attention_entropy_forward(qkv, n_head=2)
    assert [a is qkv for a in cache if isinstance(a, np.ndarray)] == [True]
