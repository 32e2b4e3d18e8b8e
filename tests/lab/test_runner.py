"""Studies run for real: processes, kills, and the same numbers in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from npgpt.lab import runner
from npgpt.lab.folder import locked, runs_of
from npgpt.lab.runner import last_step, run_study
from npgpt.training.log import read_log

from .conftest import Told

ROOT = Path(__file__).resolve().parents[2]
# long enough to be killed in the middle
LONG = {"max_steps = 12": "max_steps = 300", "checkpoint_every = 3": "checkpoint_every = 20",
        "eval_every = 6": "eval_every = 100", "seeds = [1, 2]": "seeds = [1]"}


def numbers(folder, study):
    """Everything of a study that must not depend on how it was run: no times."""
    found = {}
    for run in runs_of(folder, study):
        log = [{key: value for key, value in record.items()
                if "second" not in key} for record in read_log(run.place)]
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


@pytest.fixture
def long_study(toml, write_study):
    for short, long in LONG.items():
        toml = toml.replace(short, long)
    return write_study(toml.split("[[arm]]")[0])


def test_a_study_runs_to_its_end_and_a_diverged_run_is_a_result(tmp_path, study):
    told = Told()
    outcome = run_study(tmp_path / "out", study, told, jobs=2)
    assert (outcome.reason, outcome.left) == ("finished", 0)
    assert sorted(told.ends) == sorted(
        (run.name, "diverged" if run.arm.name == "hot" else "done")
        for run in runs_of(tmp_path / "out", study))
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["complete"] and len(results["runs"]) == 6
    again = Told()
    assert run_study(tmp_path / "out", study, again, jobs=2).reason == "finished"
    assert again.starts == []


def test_runs_side_by_side_give_the_numbers_of_runs_in_turn(tmp_path, study):
    run_study(tmp_path / "one", study, Told(), jobs=1)
    run_study(tmp_path / "two", study, Told(), jobs=3)
    assert numbers(tmp_path / "one", study) == numbers(tmp_path / "two", study)


def test_a_study_that_is_killed_goes_on_to_the_numbers_of_an_unbroken_one(tmp_path, long_study):
    run_study(tmp_path / "whole", long_study, Told(), jobs=2)
    process = start("tiny.toml", tmp_path / "killed", "--jobs", "2")
    first = runs_of(tmp_path / "killed", long_study)[0]
    wait_for(lambda: last_step(first) > 50, process)
    children = runs_of_process(process)
    process.kill()
    for child in children:
        os.kill(child, signal.SIGKILL)
    process.communicate()
    told = Told()
    # until the system has buried the runs, they hold the lock
    deadline = time.monotonic() + 30
    while True:
        try:
            outcome = run_study(tmp_path / "killed", long_study, told, jobs=2)
            break
        except ValueError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert outcome.reason == "finished"
    assert told.starts[0][0] == first.name and told.starts[0][1] > 0
    assert numbers(tmp_path / "killed", long_study) == numbers(tmp_path / "whole", long_study)


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
    told = Told()
    assert run_study(tmp_path / "out", long_study, told, jobs=2).reason == "finished"
    assert told.starts[0] == (first.name, stood)


def test_while_runs_go_a_second_call_is_refused_even_if_only_the_first_call_was_killed(
        tmp_path, long_study):
    process = start("tiny.toml", tmp_path / "out", "--jobs", "1")
    first = runs_of(tmp_path / "out", long_study)[0]
    wait_for(lambda: last_step(first) > 0, process)
    with pytest.raises(ValueError, match=f"in use by lab run, process {process.pid}"):
        run_study(tmp_path / "out", long_study, Told())
    children = runs_of_process(process)
    assert len(children) == 1
    os.kill(children[0], signal.SIGSTOP)        # still there for certain
    process.kill()
    process.communicate()
    with pytest.raises(ValueError, match="runs that it left behind"):
        run_study(tmp_path / "out", long_study, Told())
    os.kill(children[0], signal.SIGKILL)


def test_a_run_that_fails_stops_the_study_in_one_line_and_says_why(tmp_path, study):
    folder = tmp_path / "out"
    run_study(folder, study, Told(), only=["none"])
    run = runs_of(folder, study)[0]
    run.place.parent.mkdir(exist_ok=True)
    run.place.write_text("a file where a folder must be")
    outcome = run_study(folder, study, Told(), jobs=1)
    assert outcome.reason == "failed" and outcome.exit_code == 3
    assert outcome.message.startswith(f"{run.name}: ") and outcome.left == 4
    run.place.unlink()
    assert run_study(folder, study, Told(), jobs=2).reason == "finished"


def test_a_run_that_is_killed_from_outside_is_told(tmp_path, long_study):
    class Killer(Told):
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


def test_only_some_arms_run_and_the_rest_later(tmp_path, study):
    told = Told()
    outcome = run_study(tmp_path / "out", study, told, only=["none"])
    assert outcome.reason == "finished"
    assert [name for name, _ in told.starts] == ["none-seed1", "none-seed2"]
    with pytest.raises(ValueError, match="is no arm"):
        run_study(tmp_path / "out", study, told, only=["nothing"])


def test_time_that_is_out_saves(tmp_path, toml, write_study):
    # no machine is quick enough to end it in the time there is
    for short, long in {**LONG, "max_steps = 12": "max_steps = 100_000"}.items():
        toml = toml.replace(short, long)
    endless = write_study(toml.split("[[arm]]")[0])
    outcome = run_study(tmp_path / "out", endless, Told(), max_minutes=0.02)
    assert outcome.reason == "out of time" and outcome.left == 2


@pytest.mark.parametrize("settings, says", [
    ({"jobs": 0}, "jobs=0"), ({"max_minutes": -1.0}, "max_minutes=-1.0"),
    ({"max_minutes": float("nan")}, "max_minutes=nan")])
def test_settings_that_do_not_fit_are_told(tmp_path, study, settings, says):
    with pytest.raises(ValueError, match=says):
        run_study(tmp_path / "out", study, Told(), **settings)
    assert not (tmp_path / "out").exists()


def test_the_lock_is_free_again_when_a_study_has_ended(tmp_path, study):
    run_study(tmp_path / "out", study, Told(), only=["hot"])
    with locked(tmp_path / "out") as held:
        assert held is not None
