"""Progress: plain lines without a terminal, the time left, samples set off."""

from npgpt.cli.progress import Progress
from npgpt.training.settings import TrainSettings


def test_lines_tell_step_loss_val_speed_and_time_left(capsys):
    with Progress(TrainSettings(max_steps=100), 0) as progress:
        progress.step({"step": 0, "val": 4.0})
        progress.step({"step": 1, "loss": 3.9, "tokens_per_second": 1234.5})
        progress.step({"step": 50, "loss": 2.5, "val": 2.25, "tokens_per_second": 1234.5})
        progress.sample(50, "two\nlines\n")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["step", "0/100", "val", "4.0000"]
    assert lines[1].startswith("step     50/100  loss 2.5000  val 2.2500  1,234 tokens/s")
    assert lines[1].endswith("left")
    assert lines[2:] == ["  | two", "  | lines"]


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Progress(TrainSettings(max_steps=10), 0) as progress:
        progress.step({"step": 5, "loss": 2.5})
    assert "5/10" in capsys.readouterr().err
