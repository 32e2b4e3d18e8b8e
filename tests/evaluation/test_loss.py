"""Evaluation: a mean over tokens, not over batches."""

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config, fast
from npgpt.evaluation.loss import Stopped, mean_loss
from npgpt.machine.threads import using
from npgpt.ops import TEXTBOOK as ops

CONFIG = GPT2Config(vocab_size=11, n_positions=6, n_embd=8, n_layer=1, n_head=2)


def test_batches_of_unequal_size_weigh_by_their_tokens():
    model = GPT2.init(CONFIG, 0, np.float64)
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(0, 11, (2, 5, 6))
    parts = [(ids[:4], targets[:4]), (ids[4:], targets[4:])]
    whole = model.loss(ids, targets)
    assert mean_loss(model.params, CONFIG, parts, ops=ops) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("together", [1, 2, 3, 7])
def test_batches_computed_together_give_the_same_bits_and_stop_in_time(together):
    model = GPT2.init(CONFIG, 0)
    rng = np.random.default_rng(1)
    batches = [tuple(rng.integers(0, 11, (2, rows, 6))) for rows in (4, 4, 3, 4, 1)]
    with using(2):
        one_by_one = mean_loss(model.params, CONFIG, batches, ops=fast.ops)
        seen = []
        at_once = mean_loss(model.params, CONFIG, batches, ops=fast.ops, together=together,
                            on_batch=lambda count: bool(seen.append(count)))
        assert at_once == one_by_one
        assert seen[-1] == 16 * 6 and len(seen) == -(-5 // together)
        with pytest.raises(Stopped):
            mean_loss(model.params, CONFIG, batches, ops=fast.ops, together=together,
                      on_batch=lambda count: True)


def test_nothing_to_evaluate_is_said():
    model = GPT2.init(CONFIG, 0)
    with pytest.raises(ValueError, match="shorter than one sequence"):
        mean_loss(model.params, CONFIG, [], ops=ops)
