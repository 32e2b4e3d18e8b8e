"""train(on_step=...): every step as the log has it, and no bit of the run depends on it."""

import numpy as np
import pytest

from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.curves import read_curves
from npgpt.training.log import Step
from npgpt.training.loop import train


def test_a_callback_gets_every_step_as_the_log_has_it(start, corpus, tmp_path):
    seen = []
    train(tmp_path, start(), corpus, on_step=seen.append)
    assert seen == list(read_curves(tmp_path).steps)
    assert seen[0] == Step(0, val=seen[0].val) and seen[1].loss is not None
    with pytest.raises(AttributeError):
        seen[0].loss = 1.0


def test_a_callback_that_raises_draws_and_computes_costs_the_run_no_bit(start, corpus, tmp_path):
    plain = start()
    train(tmp_path / "plain", plain, corpus)

    def meddles(step):
        np.random.seed(step.step)
        np.random.standard_normal(5)
        if step.step == 7:
            raise RuntimeError("a bug of the user's")

    with pytest.raises(RuntimeError, match="user's"):
        train(tmp_path / "run", start(), corpus, on_step=meddles)
    state = load_checkpoint(tmp_path / "run")
    assert state.step == 4
    train(tmp_path / "run", state, corpus, on_step=lambda step: None)
    assert all((plain.params[name] == state.params[name]).all() for name in plain.params)
    curves = [read_curves(tmp_path / name).curve("loss").tolist() for name in ("plain", "run")]
    assert curves[0] == curves[1]
