"""train --live: a chart that is drawn anew in a terminal, and nothing of it elsewhere."""

import io
import json
import re
import sys

import pytest

from npgpt.cli.live import LEAST_COLUMNS, LEAST_ROWS, LiveProgress
from npgpt.training.settings import TrainSettings

from .conftest import TINY


@pytest.fixture
def terminal(monkeypatch, tmp_path):
    """A screen of so many columns and rows on stdout and stderr; its text, erased parts removed."""

    def screen(columns=80, lines=30):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))
        text = io.StringIO()
        text.isatty = lambda: True
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, text)
        return text

    return screen


def record(step, **more):
    return {"step": step, "loss": 4 - step / 10, "lr": 1e-3, "grad_norm": 1.0,
            "tokens_per_second": 100.0, **more}


def log(folder, *records):
    (folder / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))


def seen(text):
    """What stays of a text on a screen where a cursor may go up and clear what is below."""
    rows = [""]
    for part in re.split(r"(\033\[\d+A\033\[J|\n|\r)", text):
        up = re.match(r"\033\[(\d+)A", part)
        if up:
            del rows[len(rows) - int(up[1]) - 1:]
            rows.append("")
        elif part == "\n":
            rows.append("")
        elif part == "\r":
            rows[-1] = ""
        else:
            rows[-1] = part or rows[-1]
    return rows


def test_the_chart_is_drawn_anew_in_its_place_and_lines_stand_above_it(terminal, tmp_path):
    text = terminal()
    with LiveProgress(TrainSettings(max_steps=20), 0, tmp_path) as progress:
        log(tmp_path, {"step": 0, "val": 4.0})
        progress.step({"step": 0, "val": 4.0})
        for step in range(1, 21):
            progress.step(record(step, **({"val": 3.0} if step == 10 else {})))
        progress.note("mind the gap")
    rows = seen(text.getvalue())
    assert sum("loss, nats per token" in row for row in rows) == 1
    chart = next(n for n, row in enumerate(rows) if "loss, nats per token" in row)
    above = "\n".join(rows[:chart])
    assert "val 4.0000" in above and "val 3.0000" in above and "mind the gap" in above
    assert max(map(len, rows)) <= 80 and rows[chart + 16].split() == ["0", "10", "20"]


def test_a_resumed_run_has_its_whole_curve(terminal, tmp_path):
    text = terminal()
    log(tmp_path, *(record(step) for step in range(1, 6)))
    with LiveProgress(TrainSettings(max_steps=20), 4, tmp_path) as progress:
        progress.step(record(5))
        progress.step(record(6))
    assert ["0", "3", "6"] in [row.split() for row in seen(text.getvalue())]


@pytest.mark.parametrize("columns, rows", [(LEAST_COLUMNS - 1, 30), (80, LEAST_ROWS - 1)])
def test_a_terminal_that_is_too_small_has_no_chart(terminal, tmp_path, columns, rows):
    text = terminal(columns, rows)
    log(tmp_path, record(1))
    with LiveProgress(TrainSettings(max_steps=20), 0, tmp_path) as progress:
        progress.step(record(1))
    assert "nats" not in text.getvalue() and "1/20" in text.getvalue()


def test_a_screen_stays_as_it_is_once_the_run_is_stopping(terminal, tmp_path):
    text, stopping = terminal(), []
    log(tmp_path, record(1))
    with LiveProgress(TrainSettings(max_steps=20), 0, tmp_path, lambda: bool(stopping)) as progress:
        progress.step(record(1))
        stopping.append(True)
        drawn = text.getvalue().count("nats")
        progress.step(record(2, val=3.0))
    assert text.getvalue().count("nats") == drawn == 1


@pytest.mark.smoke
def test_without_a_terminal_live_changes_nothing(npgpt, story):
    plain = npgpt("train", "--corpus", story, "--out", "a", *TINY)
    live = npgpt("train", "--corpus", story, "--out", "b", *TINY, "--live")
    assert live[0] == 0 and live[2] == ""
    without_speed = [re.sub(r"[\d,.]+ (tokens/s|s\b|min).*", "", out).replace("run b", "run a")
                     for _, out, _ in (plain, live)]
    assert len(set(out.count("\n") for out in without_speed)) == 1 and "\033" not in live[1]
