"""What a run freezes has no gradient, no moments and stays as it is, also over a resume."""

import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.params import init_params, parameter_shapes
from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.frozen import frozen_names
from npgpt.training.loop import train
from npgpt.training.settings import resolve
from npgpt.training.step.gradients import loss_and_grads
from npgpt.training.step.workers import Workers

from .conftest import SMALL, Silent


def frozen(freeze, **asked):
    run = resolve(flags={**SMALL, "freeze": freeze, **asked})
    return frozen_names(run, run.model_config(11))


@pytest.mark.parametrize("freeze, first, count", [
    ("wte", "wte.weight", 1), ("wte, wpe.weight", "wte.weight", 2), ("h.1", "h.1.ln_1.weight", 12),
    ("h.[0-1].mlp", "h.0.mlp.c_fc.weight", 8), ("h.*.ln_1", "h.0.ln_1.weight", 4),
])
def test_names_are_whole_or_beginnings_with_wildcards(freeze, first, count):
    names = frozen(freeze)
    assert names[0] == first and len(names) == count


@pytest.mark.parametrize("freeze, message", [
    ("wtee", "no parameter has the name 'wtee' .did you mean 'wte'"),
    ("wte,h.7", "no parameter has the name 'h.7'"), ("*", "every parameter is frozen"),
])
def test_what_matches_nothing_or_everything_is_rejected(freeze, message):
    with pytest.raises(ValueError, match=message):
        frozen(freeze)


def test_what_is_frozen_stays_and_a_resumed_run_equals_an_uninterrupted_one(
        start, corpus, tmp_path):
    changes = {"freeze": "wte,wpe,h.0", "max_steps": 8}
    whole, before = start(**changes), start(**changes).params
    train(tmp_path / "whole", whole, corpus, Silent())
    stops = iter([False] * 4 + [True])
    train(tmp_path / "parts", start(**changes), corpus, Silent(), lambda: next(stops))
    resumed = load_checkpoint(tmp_path / "parts")
    assert resumed.step == 5 and resumed.frozen == whole.frozen
    train(tmp_path / "parts", resumed, corpus, Silent())
    for name, array in whole.params.items():
        np.testing.assert_array_equal(resumed.params[name], array)
        is_frozen = name.startswith(("wte", "wpe", "h.0."))
        assert (name in whole.frozen) == is_frozen == (name not in whole.mean)
        assert (array == before[name]).all() == is_frozen


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("freeze", ["wte,wpe,h.0", "h.1,wpe", "mlp", "ln_f,wte"])
def test_gradients_of_what_is_trained_are_those_of_the_whole(freeze, shards, recompute):
    config = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4)
    params = init_params(config, 3, np.float64)
    ids = np.array([[1, 2, 3, 4], [4, 5, 1, 1], [7, 8, 9, 2]])
    constants = [n for n in parameter_shapes(config) if any(p in n for p in freeze.split(","))]
    loss, grads = loss_and_grads(params, ids[:, :-1], ids[:, 1:], config)
    again, some = loss_and_grads(params, ids[:, :-1], ids[:, 1:], config, frozen=constants,
                                 shards=shards, recompute=recompute)
    assert again == pytest.approx(loss, rel=1e-12)
    assert some.keys() == grads.keys() - {*constants}
    for name, grad in some.items():
        np.testing.assert_allclose(grad, grads[name], rtol=1e-9, atol=1e-14)


def test_workers_give_the_bits_of_threads():
    config = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4, lora_rank=2)
    params = init_params(config, 3)
    ids = np.arange(16).reshape(4, 4) % 11
    constants = [name for name in params if ".lora_" not in name]
    _, grads = loss_and_grads(params, ids, ids, config, frozen=constants, shards=2)
    with Workers(1) as workers:
        while not workers.ready(1, params):
            pass
        _, theirs = loss_and_grads(params, ids, ids, config, frozen=constants, shards=2,
                                   workers=workers)
    assert grads.keys() == theirs.keys() == params.keys() - {*constants}
    for name, grad in grads.items():
        np.testing.assert_array_equal(theirs[name], grad)
