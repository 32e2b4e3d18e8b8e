"""Curves of runs: read from whatever a log holds, and shown in every form."""

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npgpt import plot
from npgpt.training.curves import Curves, read_curves
from npgpt.training.log import FILE
from npgpt.training.loop import train

from .conftest import Silent


def write(folder, records, tail=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text("".join(
        line if isinstance(line, str) else json.dumps(line) + "\n" for line in records) + tail)
    return folder


def records(n, loss=3.0, every=5):
    return [{"step": 0, "val": 4.0}] + [
        {"step": s, "loss": loss - s / 100, "lr": 1e-3, "grad_norm": 1.0 + s % 3,
         "tokens_per_second": 1000.0 + s, **({"val": loss - s / 90} if s % every == 0 else {})}
        for s in range(1, n + 1)]


@pytest.mark.smoke
def test_a_trained_run_shows_all_that_its_log_has(start, corpus, tmp_path):
    outcome = train(tmp_path / "run", start(), corpus, Silent())
    text = str(plot(tmp_path / "run"))
    for words in ("loss, nats per token (o: held out)", "learning rate", "gradient norm",
                  "tokens per second"):
        assert words in text
    last = text.splitlines()[-1].split()
    assert last[:2] == ["run", "12"] and last[5] == str(plot(tmp_path / "run").runs[0].lowest()[0])
    assert max(map(len, text.splitlines())) <= 80
    assert outcome._repr_html_() == plot(outcome.checkpoint)._repr_html_()


def test_an_outcome_whose_run_is_gone_has_no_curves(start, corpus, tmp_path):
    outcome = train(tmp_path / "run", start(max_steps=1), corpus, Silent())
    (tmp_path / "run" / FILE).unlink()
    assert outcome._repr_html_() is None


def test_a_run_is_its_folder_its_log_or_one_of_its_checkpoints(tmp_path):
    run = write(tmp_path / "run", records(3))
    checkpoint = run / "checkpoints" / "step-00000003"
    checkpoint.mkdir(parents=True)
    assert {read_curves(given).place for given in (run, run / FILE, checkpoint)} == {run}


def test_runs_of_different_lengths_share_an_axis_and_keep_their_names(tmp_path):
    runs = [write(tmp_path / name, records(n)) for name, n in (("short", 7), ("long", 40))]
    text = str(plot(*runs))
    rows = [line.split() for line in text.splitlines()[-2:]]
    assert [row[:3] for row in rows] == [["a:", "short", "7"], ["b:", "long", "40"]]
    assert "(capital: held out)" in text
    assert plot(*runs).last == 40


def test_runs_of_one_name_are_named_with_the_folder_above(tmp_path):
    runs = [write(tmp_path / above / "run", records(3)) for above in ("a", "b")]
    assert plot(*runs).names == ["a/run", "b/run"]
    assert plot(runs[0], runs[0]).names == ["run", "run"]


def test_the_last_of_two_lines_of_one_step_counts_and_steps_are_in_order(tmp_path):
    run = write(tmp_path / "run", [{"step": 2, "loss": 5.0}, {"step": 1, "loss": 4.0},
                                   {"step": 2, "loss": 3.0}, {"step": 2, "watch_share": 0.1}])
    assert read_curves(run).curve("loss").tolist() == [[1, 4.0], [2, 3.0]]


@pytest.mark.parametrize("lines, note", [
    (["nonsense\n", *records(3)], "1 damaged line left out"),
    (["nonsense\n", '{"step": "x"}\n', *records(3)], "2 damaged lines left out"),
    ([*records(3), '{"step": 4, "loss": "nan", "lr": 0.1, "grad_norm": "nan"}\n'],
     "diverged at step 4"),
    ([*records(3), '{"step": 4, "loss": 2.0, "lr": 0.1, "grad_norm": "inf"}\n'],
     "diverged at step 4"),
])
def test_a_log_with_something_wrong_is_shown_with_one_line_that_says_what(tmp_path, lines, note):
    curves = plot(write(tmp_path / "run", lines))
    assert len(curves.notes) == 1 and curves.notes[0].endswith(note)
    assert "nan" not in str(curves) and "NaN" not in str(curves)


def test_a_torn_last_line_is_no_damage(tmp_path):
    curves = plot(write(tmp_path / "run", records(3), tail='{"step": 4, "lo'))
    assert curves.notes == [] and curves.runs[0].steps[-1].step == 3


@pytest.mark.parametrize("content", ["", "\n", '{"step": 1, "watch_share": 0.1}\n'])
def test_a_log_without_steps_is_an_error_alone_and_a_note_among_others(tmp_path, content):
    empty = write(tmp_path / "empty", [content])
    with pytest.raises(ValueError, match="has no steps yet") as error:
        plot(empty)
    assert "\n" not in str(error.value)
    curves = plot(empty, write(tmp_path / "run", records(3)))
    assert curves.names == ["run"] and any("no steps yet" in note for note in curves.notes)


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere does not exist"):
        plot(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is not a run folder; npgpt train writes one"):
        plot(tmp_path)
    with pytest.raises(ValueError, match="at least one run"):
        plot()


def test_every_ending_gives_its_kind_of_file_and_others_are_rejected(tmp_path):
    curves = plot(write(tmp_path / "run", records(30)))
    curves.save(tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and len(text) < 12_000
    body = text[text.index("<body>"):text.index("</body>") + 7]
    assert len(list(ET.fromstring(body).iter("svg"))) == 4 * 2 + 1
    with pytest.raises(ValueError, match=".png or .svg or .html; got .*x.pdf"):
        curves.save(tmp_path / "x.pdf")
    pytest.importorskip("matplotlib")
    curves.save(tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    for name in ("a.svg", "b.svg"):
        curves.save(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(),
                    st.sampled_from(["nan", "inf", "-inf", None, "x", [], True]))
LINES = st.lists(st.one_of(
    st.dictionaries(st.sampled_from(["step", "loss", "val", "lr", "grad_norm",
                                     "tokens_per_second", "watch"]), NUMBERS),
    st.sampled_from(["\n", "nonsense\n", "[1]\n", "\x00\n"])), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, width=st.integers(40, 80))
def test_any_log_at_all_is_shown_or_is_an_error_of_one_line(tmp_path, lines, width):
    run = write(tmp_path / "run", lines)
    try:
        curves = plot(run)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    text = curves.text(width)
    assert max(map(len, text.splitlines())) <= width
    ET.fromstring(curves._repr_html_())


def test_the_lowest_held_out_loss_has_its_step(tmp_path):
    run = write(tmp_path / "run", [{"step": s, "val": v} for s, v in
                                   ((0, 4.0), (5, 2.0), (10, 2.5), (15, "nan"))])
    assert read_curves(run).lowest() == (5, 2.0)
    assert math.isnan(read_curves(run).curve("val")[-1, 1])
    assert Curves([read_curves(run)]).table()[1][2:6] == ("-", "2.5000", "2.0000", "5")


def test_a_name_that_could_steer_a_terminal_is_made_harmless(tmp_path):
    run = write(tmp_path / "x\033[31m", records(3))
    assert "\033" not in str(plot(run)) and "\033" not in plot(run).html()
    assert isinstance(run, Path)
