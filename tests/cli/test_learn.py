"""npgpt learn: the whole course as a process, and each command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from npgpt.cli import main
from npgpt.learn.exercise import read_course

COURSE = read_course()
# the whole course where it may take minutes, else some exercises from all over it
WALKED = COURSE if os.environ.get("NPGPT_WHOLE_COURSE") else COURSE[4::8]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["learn", "start"]) == 0
    return tmp_path / "npgpt-learn"


def put(mine, exercise, text):
    (mine / exercise.file).write_text(text, encoding="utf-8")


def learn(folder, *words):
    """A command as a process; (exit code, stdout)."""
    done = subprocess.run([sys.executable, "-m", "npgpt", "learn", *words], cwd=folder, text=True,
                          capture_output=True, env=os.environ | {"PYTHONPATH": ROOT}, timeout=900)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


ROOT = os.getcwd()


def test_a_learner_goes_from_start_to_train(tmp_path):
    code, out = learn(tmp_path)
    assert code == 0 and "npgpt learn start" in out
    code, out = learn(tmp_path, "start")
    assert code == 0 and COURSE[0].name in out
    mine = tmp_path / "npgpt-learn"
    for exercise in WALKED:
        wrong = exercise.about["wrong"][0]
        put(mine, exercise, exercise.changed(wrong))
        code, out = learn(mine, "check", exercise.name)
        assert code == 1 and wrong["kind"] in out, exercise.name
        put(mine, exercise, exercise.solution)
    _, out = learn(tmp_path, "list", "--json")
    assert [e["name"] for e in json.loads(out) if e["status"] == "passed"] == [
        exercise.name for exercise in WALKED]
    code, out = learn(tmp_path, "train", "--steps", "2", "--json")
    value = json.loads(out)
    parts = [exercise.about.get("train", {}) for exercise in WALKED]
    assert {*value["yours"]} >= {name for part in parts for name in part.get("ops", [])}
    assert code == 0 and len(value["losses"]) == 2


@pytest.mark.smoke
def test_a_pass_and_a_wrong_answer_have_their_exit_codes(mine, capsys):
    softmax = next(e for e in COURSE if e.name == "softmax")
    assert main(["learn", "check", "softmax"]) == 1
    assert "not begun: softmax_forward" in capsys.readouterr().out
    put(mine, softmax, softmax.changed(softmax.about["wrong"][1]))
    assert main(["learn", "check"]) == 1
    assert "missing-term" in capsys.readouterr().out
    put(mine, softmax, softmax.solution)
    assert main(["learn", "check", str(mine / softmax.file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "passed"
    assert main(["learn", "solution", "softmax"]) == 0
    assert "your code" not in capsys.readouterr().out
    assert main(["learn", "reset", "softmax"]) == 0
    assert "is kept as" in capsys.readouterr().out


def test_a_solution_is_shown_after_a_pass_or_on_giving_up(mine, capsys):
    assert main(["learn", "solution", "softmax"]) == 1
    assert "--give-up" in capsys.readouterr().out
    assert main(["learn", "solution", "softmax", "--give-up"]) == 0
    assert "def softmax_backward" in capsys.readouterr().out


@pytest.mark.parametrize("words, holds", [
    (["learn"], "0 of"), (["learn", "list"], "not begun"), (["learn", "next"], "check it"),
    (["learn", "next", "softmax"], "05_softmax.py"),
    (["learn", "hint", "softmax"], "hint 1 of 3"), (["learn", "hint", "5", "3"], "--give-up"),
    (["learn", "find", "overflow"], "softmax"),
    (["learn", "fault", "softmax", "--give-up"], "--answer"),
    (["learn", "notebook", "softmax"], "05_softmax.ipynb"),
    (["learn", "reset", "--all"], "as it was at first"),
    (["learn", "start"], "were there already"),
])
def test_each_command_answers_in_words_and_in_json(mine, capsys, words, holds):
    assert main(words) == 0
    out = capsys.readouterr().out
    # a path is not cut
    assert holds in out and all(len(line) <= 80 or "/" in line for line in out.splitlines())
    (mine / "05_softmax.ipynb").unlink(missing_ok=True)
    assert main([*words, "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_the_fault_is_found_with_a_letter(mine, capsys):
    codes = []
    for letter in "abc":
        codes.append(main(["learn", "fault", "softmax", "--give-up", "--answer", letter, "--why",
                           "a sign"]))
        out = capsys.readouterr().out
        assert "only you judge: a sign" in out and "The doctor says: term-sign" in out
    assert sorted(codes) == [0, 1, 1]


@pytest.mark.parametrize("words, code, message", [
    (["chek"], 2, "did you mean 'check'"), (["check", "softmx"], 2, "did you mean 'softmax'"),
    (["hint"], 2, "about one exercise"), (["hint", "softmax", "4"], 2, "hints 1 to 3"),
    (["check", os.devnull], 2, "unknown exercise"), (["list", "--seconds", "0"], 2, "above 0"),
    (["check", __file__], 2, "not a file of the course"),
    (["reset"], 2, "--all"), (["find"], 2, "find takes words"),
    (["fault", "softmax", "--answer", "D"], 2, "A, B, C"), (["train", "--steps", "0"], 2, "steps"),
    (["start", "a", "b"], 2, "one folder"), (["verify", "nowhere"], 2, "not a folder"),
])
def test_a_mistake_is_one_line(mine, capsys, words, code, message):
    capsys.readouterr()
    assert main(["learn", *words]) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and len(error) < 300


def test_without_exercises_a_command_says_how_to_begin(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["learn", "list"]) == 2
    assert "npgpt learn start" in capsys.readouterr().err
    assert main(["learn", "find", "softmax"]) == 0


def test_another_folder_is_named_where_the_commands_need_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["learn", "start", "mine"]) == 0
    assert "--dir mine" in capsys.readouterr().out
    assert main(["learn", "next", "softmax", "--dir", "mine"]) == 0
    assert "mine/05_softmax.py" in capsys.readouterr().out.replace(os.sep, "/")


def test_a_notebook_that_was_written_in_is_not_written_over(mine, capsys):
    assert main(["learn", "notebook", "softmax"]) == 0
    softmax = next(e for e in COURSE if e.name == "softmax")
    put(mine, softmax, softmax.solution)
    assert main(["learn", "notebook", "softmax"]) == 0
    target = mine / "05_softmax.ipynb"
    text = target.read_text(encoding="utf-8")
    assert "through_sum" in text
    target.write_text(text.replace("through_sum", "mean"), encoding="utf-8")
    assert main(["learn", "notebook", "softmax"]) == 2
    assert "there already" in capsys.readouterr().err


def test_a_reset_says_where_the_copies_are(mine, capsys):
    softmax = next(e for e in COURSE if e.name == "softmax")
    put(mine, softmax, "mine = 1\n")
    capsys.readouterr()
    assert main(["learn", "reset", "--all", "--json"]) == 0
    (copy,) = json.loads(capsys.readouterr().out)["copies"].values()
    assert Path(copy).read_text(encoding="utf-8") == "mine = 1\n"


def test_no_right_answer_is_shown_before_a_pass(mine, capsys):
    for command in ("solution", "fault"):
        assert main(["learn", command, "softmax"]) == 1
        out = capsys.readouterr().out
        assert "--give-up" in out and "def softmax" not in out


def test_verify_says_what_does_not_hold(tmp_path, capsys):
    folder = tmp_path / "05_softmax"
    folder.mkdir()
    for path in (COURSE[0].folder.parent / "05_softmax").iterdir():
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            (folder / path.name).write_text(text.replace("wrong-axis", "wrong-sign"), "utf-8")
    assert main(["learn", "verify", str(tmp_path), "--only", "softmax"]) == 1
    out = capsys.readouterr().out
    assert "FAIL softmax: wrong answer" in out and "1 failed" in out


def test_a_terminal_asks_for_the_letter_and_the_reason(mine, capsys, monkeypatch):
    answers = iter(["x", "a", "the sign"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    main(["learn", "fault", "softmax", "--give-up"])
    assert "Your reason, which only you judge: the sign" in capsys.readouterr().out
