"""Programs of the doctor: without a mistake they give what the package gives."""

import numpy as np
import pytest

from npgpt.doctor.values import programs
from npgpt.doctor.values.attention import attention_weights, split_heads
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.generation.sampling import Sampling
from npgpt.layers.attention_entropy import attention_entropy_forward

rng = np.random.default_rng(0)


def drawn(name, n=0):
    return PROGRAMS[name].draw(np.random.default_rng(n), {}, n)


@pytest.mark.parametrize("n", range(5))
def test_probabilities_are_those_of_generation(n):
    (logits,), settings = drawn("sampling", n)
    expected = Sampling(**settings).distribution(logits)
    np.testing.assert_allclose(programs.sampling(logits, **settings), expected, rtol=1e-12)


def test_attention_with_a_cache_is_that_without():
    (ids, prompt, p), _ = drawn("cached_attention")
    whole, _ = programs.cached_attention(ids, None, p)
    got = programs.run_cached(programs.cached_attention, (ids, prompt, p), {})
    np.testing.assert_allclose(got, whole, rtol=1e-12)


def test_a_numeric_gradient_is_the_gradient():
    w = rng.standard_normal((2, 3))
    got = programs.numeric_gradient(lambda x: float((w * x**2).sum()), w)
    np.testing.assert_allclose(got, 2 * w * w, rtol=1e-8)


def test_the_entropy_is_that_of_the_package():
    qkv = rng.standard_normal((2, 5, 18))
    weights = attention_weights(*(split_heads(qkv, which, n_head=3) for which in "qk"))
    expected, _ = attention_entropy_forward(qkv, n_head=3)
    got = PROGRAMS["attention_entropy"].value((weights,), {})
    np.testing.assert_allclose(got, expected, rtol=1e-10)
