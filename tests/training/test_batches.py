"""Batches: where they are cut, and that a step's batch needs no memory of earlier ones."""

import numpy as np
import pytest

from npgpt.training.batches import training_batch

pytestmark = pytest.mark.smoke

TOKENS = np.arange(1000, dtype=np.uint16)


def test_targets_are_the_next_tokens():
    ids, targets = training_batch(TOKENS, 4, 7, seed=1, step=2)
    assert ids.shape == targets.shape == (4, 7)
    assert ids.dtype == targets.dtype == np.int64
    np.testing.assert_array_equal(targets, ids + 1)


def test_a_batch_is_a_function_of_seed_step_and_micro_step_alone():
    first = training_batch(TOKENS, 4, 7, seed=1, step=2, micro=3)[0]
    np.testing.assert_array_equal(first, training_batch(TOKENS, 4, 7, seed=1, step=2, micro=3)[0])
    for other in ({"seed": 2}, {"step": 3}, {"micro": 4}):
        changed = training_batch(TOKENS, 4, 7, **{"seed": 1, "step": 2, "micro": 3, **other})[0]
        assert not np.array_equal(first, changed)


def test_every_place_of_the_text_can_be_drawn_also_the_last():
    tokens = np.arange(9, dtype=np.uint16)
    seen = {int(training_batch(tokens, 8, 7, seed=0, step=s)[0][b, 0])
            for s in range(8) for b in range(8)}
    assert seen == {0, 1}


def test_a_run_that_goes_on_in_another_version_of_npgpt_sees_the_text_it_would_have_seen():
    starts = np.random.default_rng([0xBA7C, 1, 2, 0]).integers(0, 1000 - 7, size=4)
    np.testing.assert_array_equal(training_batch(TOKENS, 4, 7, seed=1, step=2)[0][:, 0], starts)
