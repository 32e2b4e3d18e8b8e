"""Studies over MPI: real ranks, real signals, and the numbers of a study without MPI."""

import json
import os
import re
import select
import signal

import pytest

from npgpt.lab.folder import runs_of
from npgpt.lab.runner import last_step, run_study

from ..mpi import LIMIT, Job, children, needs_mpi
from ..mpi import run as run_job
from .conftest import Report
from .test_runner import longer, numbers, wait_for

LAB = ["lab", "run", "tiny.toml", "--mpi", "--out", "out"]
pytestmark = needs_mpi


def ended(job):
    code, out, err = job.wait()
    assert "Traceback" not in err
    return code, out, err


def begun_again(folder, study):
    """The two runs that the next call continues, and from where."""
    report = Report()
    run_study(folder, study, report, jobs=2, should_stop=lambda: len(report.starts) == 2)
    return dict(report.starts)


@pytest.fixture
def going(tmp_path, toml, write_study):
    """A long study on two ranks with a run in its middle on each: the job, and the two runs."""
    study = write_study(longer(toml))
    job = Job((["-n", 2], LAB))
    both = runs_of(tmp_path / "out", study)[:2]
    wait_for(lambda: all(last_step(run) > 20 for run in both), job.process)
    yield job, study, both
    job.process.kill()
    job.process.wait()


def check_continues_in_the_middle(folder, study, both):
    again = begun_again(folder, study)
    assert again.keys() == {run.name for run in both}
    # saved there, and not where a checkpoint was due
    assert all(step > 20 for step in again.values())


def test_two_ranks_train_a_study_to_the_numbers_of_one_process(tmp_path, study, finished):
    code, out, err = run_job(2, *LAB)
    assert (code, err) == (0, "")
    assert "ranks      2, each of them trains one run at a time" in out
    # both begin before either has ended
    assert re.search(r"start .*\nstart ", out)
    assert numbers(tmp_path / "out", study) == numbers(finished.folder, finished.study)
    assert json.loads((tmp_path / "out/results.json").read_text())["complete"]


@pytest.mark.parametrize("number, to", [
    (signal.SIGINT, "mpiexec"), (signal.SIGTERM, "mpiexec"), (signal.SIGTERM, 1)])
def test_a_signal_has_the_runs_of_all_ranks_save_and_the_next_call_goes_on(
        tmp_path, going, number, to):
    job, study, both = going
    os.kill(job.process.pid if to == "mpiexec" else job.ranks(2)[to], number)
    code, out, err = ended(job)
    assert code == 130, err
    assert "mpiexec -n 2 npgpt lab run tiny.toml --out out --mpi" in out
    assert [run.ending()["exit"] for run in both] == [130, 130]
    stood = {run.name: last_step(run) for run in both}
    assert begun_again(tmp_path / "out", study) == stood


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_the_job_and_its_runs_are_continued(tmp_path, going, rank):
    job, study, both = going
    victim = job.ranks(2)[rank]
    os.kill(victim, signal.SIGKILL)
    code, out, err = ended(job)
    # ours, or mpiexec's own where it ends before ours has come through
    assert code != 0 and re.search(
        rf"npgpt: rank {rank} on \S+, process {victim}, ended before|PID {victim} RUNNING AT",
        out + err)
    check_continues_in_the_middle(tmp_path / "out", study, both)


def test_the_runs_save_when_mpiexec_itself_is_killed(tmp_path, going):
    job, study, both = going
    ranks = [os.pidfd_open(rank) for rank in job.ranks(2)]
    job.process.kill()
    for rank in ranks:
        assert select.select([rank], [], [], LIMIT)[0]
        os.close(rank)
    check_continues_in_the_middle(tmp_path / "out", study, both)


def test_a_run_that_fails_on_another_rank_stops_the_study_in_one_line(tmp_path, going):
    job, _, (first, second) = going
    # rank 0 started first, so the second is the other's
    [child] = children(job.ranks(2)[1])
    os.kill(child, signal.SIGKILL)
    code, out, err = ended(job)
    assert (code, err) == (1, f"npgpt: {second.name}: was ended by signal 9\n")
    assert "stopped    the other runs are saved; 2 are left" in out
    assert first.ending()["exit"] == 130


def test_a_rank_that_does_not_see_the_folder_is_named(tmp_path, study):
    (tmp_path / "elsewhere").mkdir()
    code, _, err = ended(Job((["-n", 1], LAB), (["-n", 1, "-wdir", tmp_path / "elsewhere"], LAB)))
    assert code == 2 and re.search("npgpt: rank 1 on .* does not see out; a study's folder", err)
    assert err.count("\n") == 1


def test_ranks_with_different_versions_are_rejected_in_one_line(tmp_path, study):
    code, _, err = run_job(2, *LAB, patch="import npgpt.version as v; v.VERSION = '0.0.1'")
    assert code == 2 and re.match("npgpt: npgpt is 0.0.1 on rank 1 on .*expected the same on", err)
    assert err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments, says", [
    (["tiny.toml", "--jobs", "2"], "--jobs and --mpi exclude each other"),
    (["missing.toml"], "missing.toml"),
    (["tiny.toml", "--only", "bet"], "bet"),
])
def test_a_mistake_is_one_line_whatever_the_number_of_ranks(study, arguments, says):
    code, _, err = run_job(2, "lab", "run", *arguments, "--mpi")
    assert code in (2, 3) and says in err and err.startswith("npgpt: ")
    assert err.count("\n") == 1


def test_a_rank_alone_shows_how_to_start_more(study):
    code, _, err = run_job(1, "lab", "run", "missing.toml", "--mpi")
    assert code == 2 and err.startswith("npgpt: --mpi: this is the only rank; mpiexec -n 8")
    assert err.count("\n") == 2
