from __future__ import annotations

import numpy as np
import pytest

from npgpt.book import TorchGenerator, gpt2
from npgpt.book.writing import keep_best, write

from .golden import golden


@pytest.fixture
def model():
    return gpt2(golden()["initial"][0]["cfg"], 3)


def test_the_likeliest_token_follows_even_beyond_the_context(model):
    ids = write(model, np.array([1, 2, 3]), 10)
    assert ids.shape == (13,)
    for t in range(3, 13):
        context = ids[max(0, t - model.config.n_positions):t]
        assert ids[t] == model.logits(context)[-1].argmax()


def test_only_the_best_are_drawn_and_the_same_generator_draws_the_same(model):
    def drawn(seed):
        rng = TorchGenerator(seed)
        return write(model, np.array([1, 2]), 20, temperature=1.5, top_k=2, rng=rng)

    ids = drawn(1)
    for t in range(2, 22):
        context = ids[max(0, t - model.config.n_positions):t]
        assert ids[t] in np.argsort(model.logits(context)[-1])[-2:]
    np.testing.assert_array_equal(ids, drawn(1))
    assert not np.array_equal(ids, drawn(2))


def test_scores_equal_to_the_kth_best_stay():
    scores = np.array([1.0, 3.0, 2.0, 2.0], np.float32)
    np.testing.assert_array_equal(keep_best(scores, 2), [-np.inf, 3.0, 2.0, 2.0])
    np.testing.assert_array_equal(keep_best(scores, None), scores)
    np.testing.assert_array_equal(keep_best(scores, 9), scores)
    with pytest.raises(ValueError, match="top_k=0"):
        keep_best(scores, 0)


def test_drawing_without_a_generator_is_rejected(model):
    with pytest.raises(ValueError, match="pass rng="):
        write(model, np.array([1]), 1, temperature=1.0)
