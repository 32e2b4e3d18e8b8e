"""Programs of the doctor: without a mistake they give what the package gives."""

import numpy as np
import pytest

from npgpt.doctor.values import programs
from npgpt.doctor.values.attention import attention_weights, split_heads
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.generation.sampling import Sampling
from npgpt.layers.attention_entropy import attention_entropy_forward
from npgpt.text.bpe import gpt2_encoding, mergeable_ranks
from npgpt.training.schedule import learning_rate
from npgpt.training.settings import TrainSettings
from npgpt.training.step.adamw import adamw_reference, clipping, decaying, global_norm

rng = np.random.default_rng(0)


def drawn(name, n=0):
    return PROGRAMS[name].draw(np.random.default_rng(n), {}, n)


def test_steps_of_adamw_are_those_of_training():
    (params, many), settings = drawn("adamw")
    theirs = {name: p.copy() for name, p in params.items()}
    m, v = ({name: np.zeros_like(p) for name, p in params.items()} for _ in "mv")
    history = PROGRAMS["adamw"].value((params, many), settings)
    for step, grads in enumerate(many, start=1):
        adamw_reference(theirs, grads, m, v, step=step, decay_names=decaying(theirs), **settings)
        for name in theirs:
            np.testing.assert_allclose(history[f"step {step}"][name], theirs[name], rtol=1e-12)


@pytest.mark.parametrize("returns", [lambda p, m, v: p, lambda p, m, v: (p, m, v)])
def test_a_step_may_return_what_it_computes(returns):
    (params, many), settings = drawn("adamw")

    def step(params, grads, m, v, **settings):
        params = {name: p.copy() for name, p in params.items()}
        programs.adamw(params, grads, m, v, **settings)
        return returns(params, m, v)

    expected = PROGRAMS["adamw"].value((params, many), settings)
    got = programs.run_steps(step, (params, many), settings)
    for step, after in expected.items():
        assert all(np.array_equal(after[name], got[step][name]) for name in after)


@pytest.mark.parametrize("n", [0, 1])
def test_clipping_is_that_of_training(n):
    (grads,), settings = drawn("clip", n)
    scale = clipping(global_norm(grads), settings["max_norm"])
    for name, g in programs.clip(grads, **settings).items():
        np.testing.assert_allclose(g, g if n else grads[name] * scale, rtol=1e-5)


def test_accumulated_gradients_are_those_of_the_whole_batch():
    tokens = rng.standard_normal((10, 3))
    parts = [tokens[:2], tokens[2:7], tokens[7:]]
    got = programs.accumulate([{"w": p.mean(0)} for p in parts], [len(p) for p in parts])
    np.testing.assert_allclose(got["w"], tokens.mean(0))


def test_the_schedule_is_that_of_training():
    settings = TrainSettings(learning_rate=0.5, min_learning_rate=0.05, warmup_steps=4,
                             max_steps=17)
    for step in range(20):
        assert programs.learning_rate(step, lr=0.5, min_lr=0.05, warmup=4, total=17) == (
            pytest.approx(learning_rate(step, settings), rel=1e-12))


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


def test_bpe_encodes_as_gpt2_does():
    ranks = mergeable_ranks()
    for text in (b"unbelievable", " naïveté".encode(), b"aaaaaaa"):
        tokens = programs.bpe_encode(text, _merges_within(text, ranks))
        assert [ranks[token] for token in tokens] == gpt2_encoding().encode_ordinary(text.decode())


def _merges_within(text, ranks):
    """The merges of GPT-2 that can happen in a text, by rank: each is its parts at that rank."""
    pieces = {text[i:j] for i in range(len(text)) for j in range(i + 2, len(text) + 1)}
    merges = []
    for token in sorted((p for p in pieces if p in ranks), key=ranks.get):
        left, right = programs.bpe_encode(token, merges)
        merges.append((left, right))
    return merges


def test_bpe_learns_the_most_frequent_pair_first():
    assert programs.bpe_train(b"abab cab", 2) == [(b"a", b"b"), (b"ab", b"ab")]
    assert programs.bpe_train(b"a", 3) == []


def test_windows_and_their_targets():
    x, y = programs.windows(np.arange(9), length=4)
    assert x.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]] and (y == x + 1).all()


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
