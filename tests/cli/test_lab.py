"""npgpt lab, as a user meets it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from npgpt.cli.lab import StudyProgress

from ..lab.conftest import TOML

STUDY = TOML.split("[[arm]]")[0].replace("CORPUS", "story.txt")


@pytest.fixture
def toml(story):
    path = Path("tiny.toml")
    path.write_text(STUDY)
    return path


def test_a_study_is_run_and_reported(npgpt, toml):
    pytest.importorskip("scipy")
    code, out, err = npgpt("lab", "run", toml)
    assert code == 0, err
    assert "done       layernorm-seed1  val loss" in out and "npgpt lab report studies/tiny" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    for given in (toml, "studies/tiny", "studies/tiny/results.json"):
        code, out, err = npgpt("lab", "report", given)
        assert code == 0, err
        assert "studies/tiny/report.html" in out and Path("studies/tiny/report.md").is_file()
    assert npgpt("lab", "report", toml, "--out", "pages")[0] == 0
    assert Path("pages/report.html").is_file()


def test_a_study_out_of_time_shows_how_to_continue(npgpt, toml):
    code, out, _ = npgpt("lab", "run", toml, "--out", "here", "--max-minutes", "0.0001")
    assert code == 0 and "continue   npgpt lab run tiny.toml --out here" in out
    code, out, _ = npgpt("lab", "run", toml, "--out", "here", "--jobs", "1")
    assert code == 0 and "done       in" in out


def test_a_run_that_continues_is_set_apart_from_one_that_starts(capsys):
    progress = StudyProgress("head")
    progress.started(SimpleNamespace(name="none-seed1"), 0)
    progress.started(SimpleNamespace(name="none-seed2"), 1390)
    assert capsys.readouterr().out == (
        "start      none-seed1\ncontinue   none-seed2 from step 1,390\n")


def test_a_failing_run_is_reported_in_one_line(npgpt, toml):
    Path("studies/tiny/runs").mkdir(parents=True)
    Path("studies/tiny/study.toml").write_text(STUDY)
    Path("studies/tiny/runs/layernorm-seed1").write_text("in the way")
    code, out, err = npgpt("lab", "run", toml)
    assert code == 3 and err.count("\n") == 1 and err.startswith("npgpt: layernorm-seed1: ")
    assert "continue   npgpt lab run tiny.toml" in out


def test_the_list_names_what_is_shipped(npgpt):
    code, out, _ = npgpt("lab", "list")
    assert code == 0 and "relu-revival" in out and "small" in out
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("arguments, says", [
    (["walk"], "expected one of list, run, report"),
    (["reprot"], "did you mean 'report'"),
    (["list", "--jobs", "2"], "--jobs belongs to lab run, not to lab list"),
    (["list", "small"], "takes no study"),
    (["run"], "needs a study: relu-revival, small"),
    (["run", "smal"], "did you mean 'small'"),
    (["report", "small"], "run the study first: npgpt lab run small"),
    (["report", "small", "--jobs", "2"], "--jobs belongs to lab run"),
    (["run", "tiny.toml", "--only", "nome"], "did you mean 'none'"),
    (["run", "tiny.toml", "--jobs", "0"], "jobs=0"),
])
def test_mistakes_are_one_line(npgpt, toml, arguments, says):
    code, out, err = npgpt("lab", *arguments)
    assert code == 2 and says in err and err.count("\n") == 1 and out == ""
