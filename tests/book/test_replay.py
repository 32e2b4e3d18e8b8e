from __future__ import annotations

import json
import re

import numpy as np
import pytest

from npgpt.book import chapter5, replay, replay_training, training
from npgpt.book.figures import Figure, TextFigure, at, figures_of
from npgpt.book.replay import CHAPTERS, as_records, replay_section, summary, tabulate


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
    monkeypatch.setitem(CHAPTERS, 5, ("training", {"5.1": lambda: iter([Figure("a", "1", [1])])}))
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


# parts that take a second, and what of the book they are
QUICK = [(chapter, sections, compute) for chapter, (_, parts) in CHAPTERS.items()
         for sections, compute in parts.items() if sections not in ("4.1", "4.5 4.6 4.7", "5.1")]


@pytest.mark.parametrize("chapter, sections, compute", QUICK, ids=[part for _, part, _ in QUICK])
def test_every_figure_names_a_section_of_its_part(chapter, sections, compute):
    found = list(compute())
    places = {".".join(figure.section.split(".")[:2]) for figure in found}
    assert found and places == set(sections.split())
    for figure in found:
        assert re.fullmatch(r"|(listing|exercise|figure) \d\.\d", figure.item)
        assert not figure.item or figure.item.split()[1].startswith(f"{chapter}.")


@pytest.mark.parametrize("section, listings", [
    ("3.5", ["listing 3.3"]), ("3.5.3", ["listing 3.3"]), ("3.4.", ["listing 3.1", "listing 3.2"]),
    ("2.8", []),
])
def test_a_section_shows_its_own_figures_and_their_places(section, listings):
    lines = []
    figures = replay_section(section, lines.append)
    number = section.rstrip(".")
    assert figures and all(f"{figure.section}.".startswith(f"{number}.") for figure in figures)
    assert lines[0] == f"\nSection {number}"
    assert sorted({figure.item for figure in figures} - {""}) == listings
    for figure in figures:
        (line,) = [line for line in lines if f"  {figure.name}" in line[:60].rstrip()
                   and line.startswith(figure.section)]
        assert line.endswith(f"[{figure.item}]") or not figure.item


def test_only_the_part_of_a_section_is_computed():
    parts = {"4.1": lambda: pytest.fail("not asked for"),
             "4.2 4.3": lambda: iter([at("4.2")("a", "1", 1), at("4.3.1")("b", "2", 2)])}
    assert [figure.name for figure in figures_of(parts, "4.3")] == ["b"]
    assert [figure.name for figure in figures_of(parts, "4.2")] == ["a"]


@pytest.mark.parametrize("section, says", [
    ("3.9", "no number is printed in section '3.9'; expected one of 2.2"), ("3.5.9", "'3.5.9'"),
    ("6", "'6'"), ("", "''"), ("x", "'x'"), ("5.2", "npgpt book --train"),
    ("5.5", "npgpt pull gpt2"),
])
def test_a_section_without_figures_is_named_before_anything_is_reported(
        section, says, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    with pytest.raises(ValueError, match=re.escape(says)):
        replay_section(section, pytest.fail)


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
