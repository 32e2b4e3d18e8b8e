"""Logs in other formats: each step once, whatever happened to the run."""

import csv
import sys

import pytest

from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.curves import read_curves
from npgpt.training.exports import exported, exporting
from npgpt.training.log import Step
from npgpt.training.loop import train

from .conftest import Silent


class Killed(BaseException):
    """What ends a process without another word."""


def rows(folder):
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_steps(folder):
    return [Step(int(row.pop("step")), **{name: float(value) if value else None
                                          for name, value in row.items()}) for row in rows(folder)]


def run(folder, state, corpus, names=("csv",), until=None):
    with exporting(folder, names) as on_step:
        def follow(step):
            on_step(step)
            if step.step == until:
                raise Killed
        train(folder, state, corpus, Silent(), on_step=follow)


@pytest.mark.smoke
def test_a_csv_file_has_a_row_for_every_step_with_all_digits(start, corpus, tmp_path):
    run(tmp_path, start(), corpus)
    assert list(rows(tmp_path)[0]) == ["step", "loss", "val", "lr", "grad_norm",
                                       "tokens_per_second"]
    assert as_steps(tmp_path) == list(read_curves(tmp_path).steps)
    assert len(rows(tmp_path)) == 13 and rows(tmp_path)[0]["loss"] == ""


@pytest.mark.parametrize("until", [1, 5, 6, 11])
def test_a_killed_and_resumed_run_has_no_step_twice(start, corpus, tmp_path, until):
    with pytest.raises(Killed):
        run(tmp_path, start(), corpus, until=until)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("99,1.2")                # torn
    run(tmp_path, load_checkpoint(tmp_path), corpus)
    assert as_steps(tmp_path) == list(read_curves(tmp_path).steps)
    assert [step.step for step in as_steps(tmp_path)] == list(range(13))


def test_a_format_that_comes_later_has_the_whole_run(start, corpus, tmp_path):
    train(tmp_path, start(max_steps=6), corpus, Silent())
    state = load_checkpoint(tmp_path)
    state.run = start().run
    run(tmp_path, state, corpus)
    assert [step.step for step in as_steps(tmp_path)] == list(range(13))
    assert exported(tmp_path) == ["csv"]


def test_an_unknown_format_is_named_and_a_missing_library_with_its_extra(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"unknown format 'cvs' \(did you mean 'csv'\?\)"):
        with exporting(tmp_path, ["cvs"]):
            pass
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"npgpt\[tensorboard\]"):
        with exporting(tmp_path, ["tensorboard"]):
            pass
    assert exported(tmp_path) == []


def test_tensorboard_has_every_step_once_after_a_kill(start, corpus, tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    with pytest.raises(Killed):
        run(tmp_path, start(), corpus, ["csv", "tensorboard"], until=7)
    run(tmp_path, load_checkpoint(tmp_path), corpus, ["csv", "tensorboard"])
    assert exported(tmp_path) == ["csv", "tensorboard"]
    (file,) = (tmp_path / "tensorboard").iterdir()
    content, at, found = file.read_bytes(), 0, {}
    while at < len(content):                # TFRecord: length, crc, event, crc
        size = int.from_bytes(content[at:at + 8], "little")
        event = Event.FromString(content[at + 12:at + 12 + size])
        at += size + 16
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    for name, points in found.items():
        curve = read_curves(tmp_path).curve(name)
        assert [step for step, _ in points] == curve[:, 0].tolist()
        assert [v for _, v in points] == pytest.approx(curve[:, 1].tolist(), rel=1e-6)
    assert set(found) == {"loss", "val", "lr", "grad_norm", "tokens_per_second"}
