"""Studies over MPI: real ranks, real signals, and the numbers of a study without MPI."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from npgpt.lab.folder import runs_of
from npgpt.lab.runner import last_step, run_study

from ..mpi import LIMIT, MPIEXEC, ROOT, needs_mpi
from .conftest import Report
from .test_runner import longer, numbers, wait_for

LAB = [sys.executable, "-m", "npgpt", "lab", "run", "tiny.toml", "--mpi", "--out", "out"]
pytestmark = needs_mpi


def start(*command):
    return subprocess.Popen(
        [MPIEXEC, *command], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process):
    out, err = process.communicate(timeout=LIMIT)
    assert "Traceback" not in err
    return process.returncode, out, err


def ranks_of(mpiexec):
    """The ids of the two ranks: what mpiexec starts starts them."""
    [proxy] = children(mpiexec.pid)
    return children(proxy)


def children(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)],
                            capture_output=True, text=True).stdout
    return [int(word) for word in listed.split()]


def begun_again(folder, study):
    """The two runs that the next call continues, and from where."""
    report = Report()
    run_study(folder, study, report, jobs=2, should_stop=lambda: len(report.starts) == 2)
    return dict(report.starts)


@pytest.fixture
def going(tmp_path, toml, write_study):
    """A long study on two ranks with a run in its middle on each: mpiexec, and the two runs."""
    study = write_study(longer(toml))
    process = start("-n", "2", *LAB)
    both = runs_of(tmp_path / "out", study)[:2]
    wait_for(lambda: all(last_step(run) > 20 for run in both), process)
    yield process, study, both
    process.kill()
    process.communicate()


def test_two_ranks_train_a_study_to_the_numbers_of_one_process(tmp_path, study, finished):
    code, out, err = ended(start("-n", "2", *LAB))
    assert code == 0, err
    assert "ranks      2, each of them trains one run at a time" in out
    # both begin before either has ended
    assert re.search(r"start .*\nstart ", out)
    assert numbers(tmp_path / "out", study) == numbers(finished.folder, finished.study)
    assert json.loads((tmp_path / "out/results.json").read_text())["complete"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_has_the_runs_of_all_ranks_save_and_the_next_call_goes_on(
        tmp_path, going, number):
    process, study, both = going
    process.send_signal(number)
    code, out, err = ended(process)
    assert code == 130, err
    assert "mpiexec -n 2 npgpt lab run tiny.toml --out out --mpi" in out
    assert [run.ending()["exit"] for run in both] == [130, 130]
    stood = {run.name: last_step(run) for run in both}
    assert begun_again(tmp_path / "out", study) == stood


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_the_job_and_its_runs_are_continued(tmp_path, going, rank):
    process, study, both = going
    os.kill(ranks_of(process)[rank], signal.SIGKILL)
    code, out, err = ended(process)
    # mpiexec's own message
    assert code != 0 and " RUNNING AT " in out + err
    again = begun_again(tmp_path / "out", study)
    assert again.keys() == {run.name for run in both}
    # saved in the middle, and not where a checkpoint was due
    assert all(step > 20 for step in again.values())


def test_a_run_that_fails_on_another_rank_stops_the_study_in_one_line(tmp_path, going):
    process, _, (first, second) = going
    # rank 0 started first, so the second is the other's
    [child] = children(ranks_of(process)[1])
    os.kill(child, signal.SIGKILL)
    code, out, err = ended(process)
    assert code == 1 and f"npgpt: {second.name}: was ended by signal 9" in err
    assert "stopped    the other runs are saved; 2 are left" in out
    assert first.ending()["exit"] == 130


def test_a_rank_that_does_not_see_the_folder_is_named(tmp_path, study, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    code, _, err = ended(start(
        "-n", "1", *LAB, ":", "-n", "1", "-wdir", str(tmp_path / "elsewhere"), *LAB))
    assert code == 2 and re.search("npgpt: rank 1 on .* does not see out; a study's folder", err)
    assert err.count("\n") == 1


def test_jobs_are_the_ranks(tmp_path, study):
    code, _, err = ended(start("-n", "2", *LAB, "--jobs", "2"))
    assert code == 2 and err.startswith("npgpt: --jobs and --mpi exclude each other")
    assert err.count("\n") == 1
