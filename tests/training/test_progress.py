"""Progress: plain lines without a terminal, the time left, samples set off."""

import pytest

from npgpt.training.progress import Progress
from npgpt.training.settings import TrainSettings


@pytest.fixture
def at(monkeypatch):
    """The moments at which the clock is read, at the beginning and then at every step."""
    return lambda *moments: monkeypatch.setattr("time.monotonic", iter(moments).__next__)


def test_lines_show_step_loss_val_speed_and_time_left(capsys, at):
    at(100.0, 100.0, 101.0, 150.0)
    with Progress(TrainSettings(max_steps=100), 0) as progress:
        progress.step({"step": 0, "val": 4.0})
        progress.step({"step": 1, "loss": 3.9, "tokens_per_second": 1234.5})
        progress.step({"step": 50, "loss": 2.5, "val": 2.25, "tokens_per_second": 1234.5})
        progress.sample(50, "two\nlines\n")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["step", "0/100", "val", "4.0000"]
    assert lines[1] == "step     50/100  loss 2.5000  val 2.2500  1,234 tokens/s  50 s left"
    assert lines[2:] == ["  | two", "  | lines"]


@pytest.mark.parametrize("max_minutes, left", [(0.0, "4.0 min left"), (2.0, "60 s left"),
                                               (60.0, "4.0 min left"), (0.5, "0 s left")])
def test_the_time_left_ends_at_the_last_step_or_at_max_minutes(
        capsys, at, max_minutes, left):
    at(100.0, 160.0)
    with Progress(TrainSettings(max_steps=100, max_minutes=max_minutes), 0) as progress:
        progress.step({"step": 20, "loss": 2.5, "val": 2.5})
    assert capsys.readouterr().out.endswith(f"  {left}\n")


def test_a_terminal_gets_a_bar_with_the_same_time_left(capsys, monkeypatch, at):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    at(100.0, 160.0)
    with Progress(TrainSettings(max_steps=10**9, max_minutes=3.0), 0) as progress:
        progress.step({"step": 5, "loss": 2.5, "val": 2.25})
    shown = capsys.readouterr().err
    assert "5/1000000000" in shown and "loss=2.500, val=2.250, 2.0 min left]" in shown


def test_a_note_goes_to_stderr_and_the_results_to_stdout(capsys):
    with Progress(TrainSettings(), 0) as progress:
        progress.note("the log was damaged")
    assert capsys.readouterr() == ("", "npgpt: the log was damaged\n")
