"""Training of the doctor: without a mistake it gives what the package gives."""

import numpy as np
import pytest

from npgpt.doctor.values import training
from npgpt.doctor.values.catalogue import PROGRAMS
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
        training.adamw(params, grads, m, v, **settings)
        return returns(params, m, v)

    expected = PROGRAMS["adamw"].value((params, many), settings)
    got = training.run_steps(step, (params, many), settings)
    for step, after in expected.items():
        assert all(np.array_equal(after[name], got[step][name]) for name in after)


@pytest.mark.parametrize("n", [0, 1])
def test_clipping_is_that_of_training(n):
    (grads,), settings = drawn("clip", n)
    scale = clipping(global_norm(grads), settings["max_norm"])
    for name, g in training.clip(grads, **settings).items():
        np.testing.assert_allclose(g, g if n else grads[name] * scale, rtol=1e-5)


def test_accumulated_gradients_are_those_of_the_whole_batch():
    tokens = rng.standard_normal((10, 3))
    parts = [tokens[:2], tokens[2:7], tokens[7:]]
    got = training.accumulate([{"w": p.mean(0)} for p in parts], [len(p) for p in parts])
    np.testing.assert_allclose(got["w"], tokens.mean(0))


def test_the_schedule_is_that_of_training():
    settings = TrainSettings(learning_rate=0.5, min_learning_rate=0.05, warmup_steps=4,
                             max_steps=17)
    for step in range(20):
        assert training.learning_rate(step, lr=0.5, min_lr=0.05, warmup=4, total=17) == (
            pytest.approx(learning_rate(step, settings), rel=1e-12))
