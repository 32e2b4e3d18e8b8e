"""A held-out loss that rises: noticed once, with the step since when and the best checkpoint."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.training.checkpoint import checkpoints, load_checkpoint, step_of
from npgpt.training.held_out import (
    HeldOutLoss,
    model_checkpoint,
    model_file,
    opened_checkpoint,
)
from npgpt.training.log import Step
from npgpt.training.loop import train

from .conftest import Silent


def reports(losses, before=0):
    """The positions at which a rise is reported, of losses of which some were logged before."""
    watch = HeldOutLoss(Step(n, val=val) for n, val in enumerate(losses[:before]))
    return [n for n, val in enumerate(losses) if n >= before and watch.rises(n, val)]


@pytest.mark.parametrize("losses, at", [
    ([4, 3, 2, 2.1, 2.2, 2.3, 2.4, 2.5], [5]),
    ([4, 3, 2, 2.001, 2.002, 2.003, 2.004], []),         # within a hundredth
    ([4, 3, 2, 2.1, 2.2, 1.9, 2.0, 2.1, 1.8], []),       # never three in a row
    ([4, 3, 2, 2.3, 2.2, 2.1, 2.0], [5]),
    ([4, 3, 2, 2.3, 2.3, 2.01, 2.5], [6]),
    ([4, 3, 2, float("nan"), float("nan"), float("nan")], [5]),
    ([4, 3, 2, 2.5, 2.5, 2.5, 1, 2, 2, 2], [5]),         # once, though it fell again
    ([], []),
])
def test_a_rise_is_three_evaluations_above_the_lowest(losses, at):
    assert reports(losses) == at


@given(st.lists(st.floats(0.1, 10), max_size=30), st.integers(0, 30))
def test_a_resumed_run_reports_what_an_uninterrupted_one_would(losses, before):
    assert reports(losses, before) == [n for n in reports(losses) if n >= before]


@pytest.fixture
def rising(monkeypatch):
    """Evaluations that rise from step 2 on, whatever the model."""
    monkeypatch.setattr("npgpt.training.loop.evaluate",
                        lambda state, *rest, **more: 2.0 + abs(state.step - 2) / 10)


def test_a_run_reports_it_once_and_the_best_checkpoint_stays(start, corpus, tmp_path, rising):
    reporter = Silent()
    state = start(eval_every=1, checkpoint_every=1, keep_checkpoints=2)
    train(tmp_path / "run", state, corpus, reporter)
    best = tmp_path / "run" / "checkpoints" / "step-00000002"
    assert reporter.notes == [
        "the held-out loss has been rising since step 2, from 2.0000 to 2.3000; the best "
        f"checkpoint stays: {best}"]
    assert [step_of(path) for path in checkpoints(tmp_path / "run")] == [2, 11, 12]
    assert load_checkpoint(best).step == 2


def test_a_resumed_run_neither_repeats_it_nor_deletes_the_best_checkpoint(
        start, corpus, tmp_path, rising):
    state = start(eval_every=1, checkpoint_every=1, max_steps=7)
    train(tmp_path / "run", state, corpus, Silent())
    reporter, resumed = Silent(), load_checkpoint(tmp_path / "run")
    resumed.run = start(eval_every=1, checkpoint_every=1, max_steps=10).run
    train(tmp_path / "run", resumed, corpus, reporter)
    assert reporter.notes == []
    assert [step_of(path) for path in checkpoints(tmp_path / "run")] == [2, 9, 10]


def test_without_a_checkpoint_of_that_step_the_newest_before_it_stays(
        start, corpus, tmp_path, rising):
    reporter = Silent()
    train(tmp_path / "run", start(eval_every=1, checkpoint_every=4), corpus, reporter)
    assert [step_of(path) for path in checkpoints(tmp_path / "run")] == [0, 8, 12]
    assert reporter.notes[0].endswith("; no checkpoint has that step, the newest before it stays: "
                                      f"{tmp_path / 'run' / 'checkpoints' / 'step-00000000'}")


def test_patience_counts_evaluations_without_a_new_lowest_loss():
    watch = HeldOutLoss()
    for step, (val, exhausted) in enumerate([
            (3.0, False), (2.0, False), (2.0, False), (2.5, True), (1.9, False), (2.0, False)]):
        watch.rises(step, val)
        assert watch.exhausts(2) == exhausted and not watch.exhausts(0)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_run_out_of_patience_ends_and_has_the_best_checkpoint_beside_the_newest(
        start, corpus, tmp_path, monkeypatch, interrupted):
    losses = {0: 3.0, 5: 2.0, 10: 1.0, 15: 1.5, 20: 1.2, 25: 1.1}
    monkeypatch.setattr("npgpt.training.loop.evaluate",
                        lambda state, *others, **more: losses.get(state.step, 9.0))
    changes = {"patience": 2, "max_steps": 40, "checkpoint_every": 7, "keep_checkpoints": 1,
               "grad_accumulation": 1}
    state = start(**changes)
    if interrupted:
        running = state
        train(tmp_path, running, corpus, should_stop=lambda: running.step >= 17)
        state = load_checkpoint(tmp_path)
        assert state.step == 17
    outcome = train(tmp_path, state, corpus)
    assert (outcome.reason, outcome.step) == ("out of patience", 20)
    assert outcome.best.name == "step-00000010"
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000010", "step-00000020"]
    assert model_checkpoint(tmp_path) == outcome.best
    assert model_checkpoint(outcome.checkpoint) == outcome.checkpoint
    with pytest.warns(UserWarning, match="its best checkpoint is read, step-00000010; for the "
                                         f"newest name {outcome.checkpoint}"):
        assert opened_checkpoint(tmp_path) == outcome.best
    assert opened_checkpoint(outcome.checkpoint) == outcome.checkpoint
    assert model_file(tmp_path) == outcome.best / "model.safetensors"
    # resumed as it is, it has none left; with more, it goes on
    again = load_checkpoint(tmp_path)
    assert train(tmp_path, again, corpus).step == 20
    again.run = replace(again.run, train=replace(again.run.train, patience=3))
    assert train(tmp_path, again, corpus).step == 25
