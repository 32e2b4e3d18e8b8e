"""One shard: its part of a batch, weighed."""

from __future__ import annotations

import numpy as np
import pytest

from npgpt import model
from npgpt.config import GPT2Config
from npgpt.fast.ops import FAST
from npgpt.params import init_params
from npgpt.tape import Tape
from npgpt.training.step.shard import Shard, shard_gradients

pytestmark = pytest.mark.smoke


def test_a_shard_gives_the_textbook_s_gradients_times_its_weight() -> None:
    config = GPT2Config(vocab_size=11, n_positions=5, n_embd=12, n_layer=2, n_head=3)
    params = init_params(config, seed=1, dtype=np.float64)
    rng = np.random.default_rng(2)
    ids, targets = rng.integers(0, 11, (2, 3, 5))
    loss, grads = shard_gradients(params, Shard(ids, targets, config, None, 0.25, False), FAST)

    tape = Tape()
    watched = tape.watch(params)
    textbook = model.loss(watched, ids, targets, config)
    np.testing.assert_allclose(loss, 0.25 * textbook.value, rtol=1e-12)
    expected = tape.backward(textbook)
    assert list(grads) == list(params)
    for name, var in watched.items():
        np.testing.assert_allclose(grads[name], 0.25 * expected[var], rtol=1e-9, atol=1e-13)
