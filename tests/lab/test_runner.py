"""Studies run for real: processes, kills, and the same numbers in the end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from npgpt.lab import runner
from npgpt.lab.folder import held, runs_of
from npgpt.lab.runner import last_step, run_study
from npgpt.training.log import read_log

from .conftest import Report, toml_in, written

ROOT = Path(__file__).resolve().parents[2]
# long enough to be killed in the middle
LONG = {"max_steps = 12": "max_steps = 300", "checkpoint_every = 3": "checkpoint_every = 20",
        "eval_every = 6": "eval_every = 100", "seeds = [1, 2]": "seeds = [1]"}


def numbers(folder, study):
    """Everything of a study that must not depend on how it was run: no times."""
    found = {}
    for run in runs_of(folder, study):
        log = [{key: value for key, value in record.items()
                if "second" not in key}
               for record in read_log(run.place) if "watch_share" not in record]
        found[run.name] = (run.status(), run.result(), log)
    return found


def start(toml_file, folder, *arguments):
    """`npgpt lab run` in a process group of its own, so that all of it can be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "npgpt", "lab", "run", str(toml_file), "--out", str(folder),
         *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(condition, process):
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def runs_of_process(process):
    """The ids of the training processes that a lab run has started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)],
                            capture_output=True, text=True).stdout
    return [int(word) for word in listed.split()]


def longer(toml):
    for short, long in LONG.items():
        toml = toml.replace(short, long)
    return toml.split("[[arm]]")[0]


@pytest.fixture
def long_study(toml, write_study):
    return write_study(longer(toml))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The numbers of the long study, unbroken."""
    home = tmp_path_factory.mktemp("whole")
    study = written(home, longer(toml_in(home)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPGPT_CACHE", str(home / "cache"))
        run_study(home / "out", study, Report(), jobs=2)
    return numbers(home / "out", study)


def test_a_study_runs_to_its_end_and_a_diverged_run_is_a_result(finished):
    assert (finished.outcome.reason, finished.outcome.left) == ("finished", 0)
    assert sorted(finished.report.ends) == sorted(
        (run.name, "diverged" if run.arm.name == "hot" else "done")
        for run in runs_of(finished.folder, finished.study))
    results = json.loads((finished.folder / "results.json").read_text())
    assert results["complete"] and len(results["runs"]) == 6
    again = Report()
    assert run_study(finished.folder, finished.study, again, jobs=2).reason == "finished"
    assert again.starts == []


def test_runs_side_by_side_give_the_numbers_of_runs_in_turn(tmp_path, study, finished):
    run_study(tmp_path / "one", study, Report(), jobs=1)
    assert numbers(tmp_path / "one", study) == numbers(finished.folder, finished.study)


def test_a_study_whose_every_process_is_killed_goes_on_to_the_numbers_of_an_unbroken_one(
        tmp_path, long_study, whole):
    process = start("tiny.toml", tmp_path / "killed", "--jobs", "2")
    first = runs_of(tmp_path / "killed", long_study)[0]
    wait_for(lambda: last_step(first) > 50, process)
    children = runs_of_process(process)
    # as one: neither must see the other end
    os.kill(process.pid, signal.SIGSTOP)
    for child in children:
        os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate()
    report = Report()
    assert run_study(tmp_path / "killed", long_study, report, jobs=2).reason == "finished"
    assert report.starts[0][0] == first.name and report.starts[0][1] > 0
    assert numbers(tmp_path / "killed", long_study) == whole


@pytest.mark.skipif(os.name == "nt", reason="there its runs end at once")
def test_where_only_the_lab_run_is_killed_its_runs_save_and_the_next_call_goes_on_at_once(
        tmp_path, long_study, whole):
    process = start("tiny.toml", tmp_path / "killed", "--jobs", "2")
    first = runs_of(tmp_path / "killed", long_study)[0]
    wait_for(lambda: last_step(first) > 50, process)
    process.kill()
    process.communicate()
    report = Report()
    assert run_study(tmp_path / "killed", long_study, report, jobs=2).reason == "finished"
    name, step = report.starts[0]
    # in the middle, and not where a checkpoint was due
    assert name == first.name and 50 < step < 300
    assert numbers(tmp_path / "killed", long_study) == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_has_the_runs_save_and_the_next_call_goes_on(tmp_path, long_study, number):
    process = start("tiny.toml", tmp_path / "out", "--jobs", "2")
    first = runs_of(tmp_path / "out", long_study)[0]
    wait_for(lambda: last_step(first) > 20, process)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "npgpt lab run tiny.toml" in out and "Traceback" not in err
    stood = last_step(first)
    report = Report()
    assert run_study(tmp_path / "out", long_study, report, jobs=2).reason == "finished"
    assert report.starts[0] == (first.name, stood)


def test_while_runs_go_a_second_call_raises_and_names_one_even_if_the_first_call_was_killed(
        tmp_path, long_study, monkeypatch):
    process = start("tiny.toml", tmp_path / "out", "--jobs", "1")
    first = runs_of(tmp_path / "out", long_study)[0]
    wait_for(lambda: last_step(first) > 0, process)
    report = Report()
    with pytest.raises(ValueError, match=f"in use by another process, {process.pid};"):
        run_study(tmp_path / "out", long_study, report)
    assert not report.readied
    children = runs_of_process(process)
    assert len(children) == 1
    os.kill(children[0], signal.SIGSTOP)        # still there for certain
    process.kill()
    process.communicate()
    monkeypatch.setattr(runner, "PATIENCE_SECONDS", 0.2)
    notes = []
    named = rf"left behind: {first.name} \(process {children[0]}\)"
    with pytest.raises(ValueError, match=named + "; wait until they end, or end them"):
        run_study(tmp_path / "out", long_study, report, report=notes.append)
    assert len(notes) == 1 and re.search(named + "; waiting until they have saved", notes[0])
    os.kill(children[0], signal.SIGKILL)


def test_time_is_noted_as_it_goes_and_a_kill_does_not_lose_it(
        tmp_path, toml, write_study, monkeypatch):
    class Looking(Report):
        def going(self, runs, steps, total_steps):
            noted.extend(run.ending() for run, _ in runs if run.ending())

    noted = []
    study = write_study(toml.replace("seeds = [1, 2]", "seeds = [1]"))
    run = runs_of(tmp_path / "out", study)[1]
    run.place.parent.mkdir(parents=True)
    (tmp_path / "out/study.toml").write_text(study.text)
    # what a killed study has left
    run.beside(".json").write_text('{"exit": null, "said": "", "seconds": 100.0}')
    # a clock that gains a second whenever it is read
    monkeypatch.setattr(
        runner, "time", SimpleNamespace(monotonic=count(0.0).__next__, sleep=time.sleep))
    run_study(tmp_path / "out", study, Looking(), jobs=1, only=["none"])
    assert {record["exit"] for record in noted} == {None}
    assert 100.0 < max(record["seconds"] for record in noted) < run.ending()["seconds"]
    assert run.ending()["exit"] == 0


def test_a_run_that_fails_stops_the_study_in_one_line_and_says_why(tmp_path, toml, write_study):
    study = write_study(toml.replace("seeds = [1, 2]", "seeds = [1]"))
    folder = tmp_path / "out"
    run_study(folder, study, Report(), only=["none"])
    run = runs_of(folder, study)[0]
    run.place.parent.mkdir(exist_ok=True)
    run.place.write_text("a file where a folder must be")
    outcome = run_study(folder, study, Report(), jobs=1)
    assert outcome.reason == "failed" and outcome.exit_code == 3
    assert outcome.message.startswith(f"{run.name}: ") and outcome.left == 2
    run.place.unlink()
    assert run_study(folder, study, Report(), jobs=2).reason == "finished"


def test_a_run_that_is_killed_from_outside_is_reported(tmp_path, long_study):
    class Killer(Report):
        def going(self, runs, steps, total_steps):
            for run, step in runs:
                if step > 10:
                    os.kill(team[0].process.pid, signal.SIGKILL)

    team = []
    real = runner._Going

    def remember(*given):
        team.append(real(*given))
        return team[-1]

    runner._Going, before = remember, runner._Going
    try:
        outcome = run_study(tmp_path / "out", long_study, Killer(), jobs=1)
    finally:
        runner._Going = before
    assert outcome.reason == "failed" and "ended by signal 9" in outcome.message


@pytest.mark.smoke
def test_only_some_arms_run_and_the_rest_later(tmp_path, study):
    report = Report()
    outcome = run_study(tmp_path / "out", study, report, only=["none"])
    assert outcome.reason == "finished"
    assert [name for name, _ in report.starts] == ["none-seed1", "none-seed2"]
    with pytest.raises(ValueError, match="unknown arm 'nothing'"):
        run_study(tmp_path / "out", study, report, only=["nothing"])


def test_time_that_is_out_saves(tmp_path, toml, write_study):
    # no machine is quick enough to end it in the time there is
    endless = write_study(longer(toml).replace("max_steps = 300", "max_steps = 100_000"))
    outcome = run_study(tmp_path / "out", endless, Report(), max_minutes=0.02)
    assert outcome.reason == "out of time" and outcome.left == 2


@pytest.mark.parametrize("settings, says", [
    ({"jobs": 0}, "jobs=0"), ({"max_minutes": -1.0}, "max_minutes=-1.0"),
    ({"max_minutes": float("nan")}, "max_minutes=nan")])
def test_wrong_settings_are_rejected(tmp_path, study, settings, says):
    with pytest.raises(ValueError, match=says):
        run_study(tmp_path / "out", study, Report(), **settings)
    assert not (tmp_path / "out").exists()


def test_the_lock_is_free_again_when_a_study_has_ended(finished):
    with held(finished.folder):
        pass
