"""One update: the mean over its batches, dropout by row, and nothing changed where it diverges."""

import math

import numpy as np
import pytest

from npgpt.training import update
from npgpt.training.step.gradients import loss_and_grads
from npgpt.training.step.row_random import RowRandom
from npgpt.training.update import Diverged, batch_gradients, train_step

from .conftest import SMALL


def test_a_step_that_diverges_changes_nothing(start, corpus):
    state = start()
    state.params["ln_f.weight"][0] = math.nan
    before = {name: array.copy() for name, array in state.params.items()}
    with pytest.raises(Diverged, match="step 1: .*ln_f.weight"):
        train_step(state, corpus.train)
    assert state.step == 0
    for name, array in before.items():
        np.testing.assert_array_equal(state.params[name], array)
        assert not state.mean[name].any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(start, corpus, monkeypatch, bad):
    state = start()
    before = {name: array.copy() for name, array in state.params.items()}
    grads = {name: np.ones_like(array) for name, array in before.items()}
    grads["ln_f.bias"][1] = bad
    monkeypatch.setattr(update, "batch_gradients", lambda *given: (1.0, grads))
    with pytest.raises(Diverged, match="the first bad gradient is ln_f.bias"):
        train_step(state, corpus.train)
    assert state.step == 0
    for name, array in before.items():
        np.testing.assert_array_equal(state.params[name], array)
        assert not state.mean[name].any() and not state.square[name].any()


def test_accumulated_gradients_are_the_mean_over_the_batches(start, corpus):
    both = start(grad_accumulation=2, dtype="float64", resid_pdrop=0.0, embd_pdrop=0.0,
                 attn_pdrop=0.0)
    loss, grads = batch_gradients(both, corpus.train)
    from npgpt import GPT2
    from npgpt.training.batches import training_batch

    model = GPT2(both.config, both.params)
    parts = [model.loss_and_grads(*training_batch(
        corpus.train, SMALL["batch_size"], 8, seed=1337, step=0, micro=m)) for m in (0, 1)]
    assert loss == pytest.approx((parts[0][0] + parts[1][0]) / 2, rel=1e-12)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, (parts[0][1][name] + parts[1][1][name]) / 2, atol=1e-12)


@pytest.mark.parametrize("kind", ["resid_pdrop", "embd_pdrop", "attn_pdrop"])
def test_each_kind_of_dropout_is_drawn_for_the_step_and_the_batch(start, corpus, kind):
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    state = start(grad_accumulation=1, **{**none, kind: 0.4})
    state.step = 3
    ids, targets = update.training_batch(corpus.train, 3, 8, seed=1337, step=3, micro=0)
    loss, grads = loss_and_grads(
        state.params, ids, targets, state.config, rng=RowRandom(1337, 3, 0, 3))
    assert loss != loss_and_grads(state.params, ids, targets, state.config)[0]
    got_loss, got = batch_gradients(state, corpus.train)
    assert got_loss == loss and all((got[name] == grads[name]).all() for name in grads)
