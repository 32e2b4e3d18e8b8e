"""npgpt plot, as a user meets it."""

from pathlib import Path

import pytest

from .conftest import TINY


@pytest.mark.smoke
def test_a_run_is_drawn_in_eighty_columns(npgpt, run_folder):
    code, out, err = npgpt("plot", run_folder)
    assert (code, err) == (0, "")
    assert "learning rate" in out and "held out" in out and "\033" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_narrow_terminal_gets_narrow_charts(npgpt, run_folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    code, out, _ = npgpt("plot", run_folder)
    assert code == 0 and max(map(len, out.splitlines())) <= 50
    monkeypatch.setenv("COLUMNS", "200")
    assert max(map(len, npgpt("plot", run_folder)[1].splitlines())) <= 80


def test_two_runs_are_told_apart_by_letters_and_colours(npgpt, run_folder, story):
    assert npgpt("train", "--corpus", story, "--out", "other", *TINY, "--seed", "3")[0] == 0
    code, out, _ = npgpt("plot", run_folder, "other")
    assert code == 0 and out.splitlines()[-2].startswith("a: run")
    assert out.splitlines()[-1].startswith("b: other")
    assert "\033[38;5;" in npgpt("plot", run_folder, "other", "--color", "always")[1]


@pytest.mark.parametrize("name", ["curves.html", "curves.png", "curves.svg"])
def test_a_file_is_written_and_named(npgpt, run_folder, name):
    if not name.endswith(".html"):
        pytest.importorskip("matplotlib")
    code, out, err = npgpt("plot", run_folder, "-o", name)
    assert (code, err) == (0, "")
    assert out == f"{name}  {Path(name).stat().st_size:,} bytes\n"


@pytest.mark.parametrize("arguments, code, says", [
    (["nowhere"], 2, "nowhere does not exist"),
    ([], 2, "the following arguments are required: RUN"),
    (["."], 2, ". is not a run folder; npgpt train writes one"),
    (["run", "-o", "x.pdf"], 2, "expected a picture's path to end in .png or .svg or .html"),
    (["run", "-o", "no/x.html"], 3, "no: no such folder"),
    (["empty"], 2, "empty/log.jsonl has no steps yet"),
])
def test_mistakes_are_one_line(npgpt, run_folder, arguments, code, says):
    Path("empty").mkdir()
    Path("empty/log.jsonl").write_text("")
    found, out, err = npgpt("plot", *arguments)
    assert (found, out, err.count("\n")) == (code, "", 1) and says in err


def test_what_lies_beside_the_runs_costs_a_line_and_no_run(npgpt, run_folder):
    Path("curves.html").write_text("a page")
    code, out, err = npgpt("plot", run_folder, "curves.html")
    assert code == 0 and "learning rate" in out
    assert err == "npgpt: curves.html is not a run folder; npgpt train writes one\n"


def test_a_damaged_log_is_drawn_with_one_line_about_it(npgpt, run_folder):
    log = run_folder / "log.jsonl"
    log.write_text("nonsense\n" + log.read_text())
    code, out, err = npgpt("plot", run_folder)
    assert code == 0 and "loss" in out
    assert err == "npgpt: run/log.jsonl: 1 damaged line left out\n"
