"""Evaluation: a mean over tokens, not over batches."""

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config, ops
from npgpt.training.evaluation import mean_loss

CONFIG = GPT2Config(vocab_size=11, n_positions=6, n_embd=8, n_layer=1, n_head=2)


def test_batches_of_unequal_size_weigh_by_their_tokens():
    model = GPT2.init(CONFIG, 0, np.float64)
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(0, 11, (2, 5, 6))
    parts = [(ids[:4], targets[:4]), (ids[4:], targets[4:])]
    whole = model.loss(ids, targets)
    assert mean_loss(model.params, CONFIG, parts, ops=ops) == pytest.approx(whole, rel=1e-12)


def test_nothing_to_evaluate_is_said():
    model = GPT2.init(CONFIG, 0)
    with pytest.raises(ValueError, match="shorter than one sequence"):
        mean_loss(model.params, CONFIG, [], ops=ops)
