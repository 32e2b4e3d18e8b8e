from __future__ import annotations

import json

import numpy as np
import pytest

from npgpt.book import chapter5, replay, replay_training, training
from npgpt.book.figures import Figure, TextFigure
from npgpt.book.replay import CHAPTERS, as_records, summary, tabulate


def test_the_table_shows_printed_and_computed_numbers_side_by_side():
    lines = []
    figure = Figure("scores", "0.25 0.5\n1 -inf", [0.25, 0.5, 2, -np.inf])
    tabulate("A chapter", [figure], lines.append)
    rows = [line.split() for line in lines]
    assert rows[-2] == ["0.25", "0.5", "0.25", "0.5", "yes"]
    assert rows[-1] == ["1", "-inf", "2", "-inf", "no"]


def test_long_rows_are_folded_and_lose_no_number():
    lines = []
    numbers = list(range(1000, 1040))
    tabulate("A chapter", [Figure("ids", " ".join(map(str, numbers)), numbers)], lines.append)
    assert max(map(len, lines)) <= 80
    shown = " ".join(lines).split()
    assert all(shown.count(str(number)) == 2 for number in numbers)


def test_the_summary_counts_numbers_and_verdicts():
    figures = [Figure("a", "1 2", [1, 2]), Figure("b", "3", [4]), Figure("c", "0.5", [0.5500001]),
               TextFigure("d", "0" * 16, "text")]
    assert "4 figures, 5 numbers: 1 figures agree" in summary(figures)
    assert "2 do not" in summary(figures)


def test_chapters_come_in_the_order_asked_for():
    lines = []
    figures = replay([3, 2], lines.append)
    headings = [line for line in lines if line.startswith("\nChapter")]
    assert [heading.split()[1] for heading in headings] == ["3:", "2:"]
    assert f"{len(figures)} figures" in lines[-1]


def test_openais_weights_are_replayed_where_they_are_and_else_a_line_says_so(
        monkeypatch, tmp_path):
    monkeypatch.setitem(CHAPTERS, 5, ("training", lambda: iter([Figure("a", "1", [1])])))
    monkeypatch.setattr(chapter5, "pretrained_figures", lambda folder: iter([
        Figure("b", "found", str(folder))
    ]))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    lines = []
    assert [figure.name for figure in replay([5], lines.append)] == ["a"]
    assert lines[-2] == ("\nSection 5.5, OpenAI's weights: left out, they are not on this "
                         "machine;\n"
                         "to have it too: npgpt pull gpt2")
    (tmp_path / "npgpt" / "gpt2").mkdir(parents=True)
    (tmp_path / "npgpt" / "gpt2" / "model.safetensors").write_bytes(b"")
    lines.clear()
    figures = replay([5, 2], lines.append)
    assert [figure.name for figure in figures[:2]] == ["a", "b"]
    assert figures[1].computed == str(tmp_path / "npgpt" / "gpt2")
    assert "\nSection 5.5: OpenAI's weights" in lines


def test_a_chapter_that_is_not_replayed_is_named():
    with pytest.raises(ValueError, match="chapter 6 cannot .* some of 2, 3, 4, 5"):
        replay([6])


def test_a_training_run_that_parts_from_the_book_says_where(monkeypatch):
    figures = [Figure("step 0", "9.781", 9.7812), Figure("step 5", "8.111", 8.2),
               Figure("step 10", "6.661", 6.7)]
    monkeypatch.setattr(training, "figures", lambda epochs: iter(figures[:epochs]))
    lines = []
    assert replay_training(3, lines.append) == figures
    assert lines[-1].startswith("parts from the book at: step 5.")
    lines.clear()
    replay_training(1, lines.append)
    assert "0 do not" in lines[-1]


@pytest.mark.parametrize("epochs", [0, 11])
def test_epochs_beyond_the_books_are_rejected_before_anything_is_said(epochs):
    lines = []
    with pytest.raises(ValueError, match="from 1 to 10"):
        replay_training(epochs, lines.append)
    assert lines == []


def test_records_are_strict_json():
    records = as_records([Figure("a", "1\n-inf", np.array([1.0, -np.inf])), Figure("b", "x", "x")])
    text = json.dumps(records, allow_nan=False)
    assert json.loads(text)[0]["computed"] == [1.0, "-inf"]
    assert records[1]["computed"] == "x"
