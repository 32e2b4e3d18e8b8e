"""npgpt train --mpi: what may go wrong on one rank, with real jobs and real signals."""

import json
import os
import platform
import signal
import sys
from pathlib import Path

import pytest

from npgpt.cli import main
from npgpt.training.checkpoint import checkpoints, load_checkpoint
from npgpt.training.log import read_log

from ..mpi import EARLY, Job, needs_mpi, run
from .conftest import TINY

LONG = ["--max-steps", "100000", "--eval-every", "100000", "--sample-every", "0"]
LOG = Path("run/log.jsonl")


def begin(story, *options, checkpoint_every=100000, everywhere=""):
    """A long job of two ranks that has trained some steps."""
    job = Job((["-n", 2], ["train", "--mpi", "--corpus", story, "--out", "run", *TINY, *LONG,
                           "--checkpoint-every", checkpoint_every, *options]),
              everywhere=everywhere)
    ranks = job.ranks(2)
    job.until(lambda: LOG.is_file() and len(LOG.read_text().splitlines()) > 4)
    return job, ranks


def ours(err):
    """Lines of stderr that npgpt wrote."""
    return [line for line in err.splitlines() if line.startswith("npgpt: ")]


def goes_on(steps):
    """Train so many steps more, over ranks."""
    step = load_checkpoint(Path("run")).step
    code, _, err = run(2, "train", "--mpi", "--resume", "run", "--max-steps", step + steps)
    assert code == 0, err
    assert load_checkpoint(Path("run")).step == step + steps


@needs_mpi
@pytest.mark.parametrize("whom", ["rank 0", "rank 1"])
@pytest.mark.parametrize("when", [
    "as it begins", "while it trains", "while it trains and sums", "while it saves"])
def test_a_rank_that_is_killed_ends_the_job_which_can_be_continued(story, whom, when):
    number = int(whom[-1])
    if when == "as it begins":
        job = Job((["-n", 2], ["train", "--mpi", "--corpus", story, "--out", "run", *TINY]))
        ranks = job.ranks(2)
    else:
        job, ranks = begin(story, checkpoint_every=1 if when == "while it saves" else 100000,
                           everywhere=EARLY if "sums" in when else "")
    if when == "while it saves":
        job.until(lambda: any(Path("run/checkpoints").glob(".partial-*")))
    os.kill(ranks[number], signal.SIGKILL)
    code, out, err = job.wait()
    assert code and "RUNNING AT" in out
    if when != "as it begins":
        # mpiexec names a process and its machine, on stdout; which rank that was is ours to say
        [line] = ours(err)
        assert line.startswith(f"npgpt: {whom} on {platform.node()}, process {ranks[number]}, "
                               f"ended before all others of its machine, at ")
    for process in ranks:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    if when != "as it begins":
        goes_on(2)


@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whom, early", [
    ("mpiexec", ""), ("rank 0", ""), ("rank 1", ""),
    pytest.param("rank 1", EARLY, id="rank 1, summing early")])
def test_a_job_that_is_interrupted_saves_once_and_exits_130(story, whom, early, number):
    job, ranks = begin(story, everywhere=early)
    os.kill(job.process.pid if whom == "mpiexec" else ranks[int(whom[-1])], number)
    code, out, err = job.wait()
    assert code == 130, err
    assert out.count("interrupted at step") == 1 and "Traceback" not in err
    assert len(ours(err)) == (0 if whom == "rank 1" else 1)
    first, last = checkpoints(Path("run"))
    assert load_checkpoint(last).step == read_log(Path("run"))[-1]["step"] > 0
    goes_on(2)


@needs_mpi
def test_a_job_that_is_interrupted_in_its_last_evaluation_has_saved_and_exits_130(story):
    """The held-out text takes long here; one rank alone is asked to stop."""
    Path("long.txt").write_text(story.read_text() * 300)
    job = Job((["-n", 2], ["train", "--mpi", "--corpus", "long.txt", "--out", "run", *TINY,
                           "--sample-every", "0", "--eval-every", "100", "--val-fraction", "0.9",
                           "--batch-size", "2"]))
    ranks = job.ranks(2)
    job.until(lambda: LOG.is_file() and '"step": 4' in LOG.read_text()
              and Path("run/checkpoints/step-00000004").is_dir())
    os.kill(ranks[1], signal.SIGTERM)
    code, out, err = job.wait()
    assert code == 130, err
    assert "val loss   not evaluated to the end" in out and not Path("run/result.json").exists()


@needs_mpi
@pytest.mark.parametrize("early", ["", EARLY], ids=["late", "early"])
def test_a_nan_on_one_rank_ends_all_with_exit_4_and_one_message(story, early):
    patch = ("from npgpt.training.step import gradients; right = gradients.shard_gradients\n"
             "    def wrong(params, shard, ops, on_final):\n"
             "        def final(name, grad):\n"
             "            if wrong.calls == 3 and name == 'ln_f.bias': grad[1] = float('nan')\n"
             "            if on_final: on_final(name, grad)\n"
             "        wrong.calls += 1\n"
             "        return right(params, shard, ops, final)\n"
             "    wrong.calls = 0; gradients.shard_gradients = wrong")
    code, _, err = run(2, "train", "--mpi", "--corpus", story, "--out", "run", *TINY,
                       "--grad-accumulation", "1", patch=patch, everywhere=early)
    assert code == 4
    [line] = ours(err)
    assert "step 3: loss" in line and "the first bad gradient is ln_f.bias (1 of 16" in line
    assert " on rank 1 on " in line and "the newest checkpoint is" in line
    assert load_checkpoint(Path("run")).step < 3


@needs_mpi
def test_a_rate_that_diverges_everywhere_is_one_message_too(story):
    code, _, err = run(2, "train", "--mpi", "--corpus", story, "--out", "run", *TINY,
                       "--learning-rate", "1e39", "--warmup-steps", "0")
    assert code == 4 and len(ours(err)) == 1


OTHER_TEXT = """
    import dataclasses
    from npgpt.training import ranked
    load = ranked.load_task
    ranked.load_task = lambda data, *given: load(dataclasses.replace(data, corpus="{}"), *given)"""


@needs_mpi
@pytest.mark.parametrize("patch, code, says", [
    ("import npgpt.version; npgpt.version.VERSION = '0.0.7'", 2,
     "the version of npgpt is 0.0.7 on rank 1 on "),
    ("sys.argv[sys.argv.index('--seed') + 1] = '8'", 2,
     "--seed is 8 on rank 1 on "),
    ("os.environ['OMP_NUM_THREADS'] = '3'", 2, "the number of threads is 3 on rank 1 on "),
    (OTHER_TEXT.format("other.txt"), 2, "the text's fingerprint is "),
    (OTHER_TEXT.format("/nowhere/story.txt"), 3, "rank 1 on "),
    ("os.chdir('elsewhere')", 2, "learning_rate in run.toml is 0.002 on rank 1 on "),
    ("os.chdir('/')", 3, "rank 1 on "),
])
def test_ranks_that_differ_are_rejected_at_the_start_with_the_difference(
        story, patch, code, says):
    Path("other.txt").write_text(story.read_text().replace("cat", "dog"))
    Path("elsewhere").mkdir()
    for file, rate in ("run.toml", 0.001), ("elsewhere/run.toml", 0.002):
        Path(file).write_text(f"[train]\nlearning_rate = {rate}\n")
    found, out, err = run(2, "train", "--mpi", "--corpus", story, "--out", "run", *TINY,
                          "--seed", "7", "--config", "run.toml", patch=patch)
    assert found == code, err
    [line] = ours(err)
    assert says in line
    assert "/nowhere/story.txt" in line or "run.toml" in line or "on rank 0 on " in line
    assert not LOG.exists()


@needs_mpi
@pytest.mark.parametrize("arguments, says", [
    (["--n-head", "3"], "n_head=3 does not divide n_embd=16"),
    (["--corpus", "nowhere.txt"], "nowhere.txt"),
    (["--resume", "nowhere"], "nowhere is not a run folder"),
    (["--batch-size", "1"], "2 ranks for batches of 1 sequences; expected a --batch-size of at "
                            "least 2, or fewer ranks"),
])
def test_a_mistake_is_one_line_whatever_the_number_of_ranks(story, arguments, says):
    given = [] if "--resume" in arguments else ["--corpus", story, *TINY]
    code, out, err = run(2, "train", "--mpi", *given, *arguments)
    assert code in (2, 3) and out == ""
    [line] = ours(err)
    assert says in line


@needs_mpi
def test_an_error_of_the_disk_on_rank_0_ends_all_with_one_message(story):
    code, _, err = run(2, "train", "--mpi", "--corpus", story, "--out", "run", *TINY,
                       "--checkpoint-every", "1")
    assert code == 0
    newest = checkpoints(Path("run"))[-1] / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    code, _, err = run(2, "train", "--mpi", "--resume", "run", "--max-steps", "9")
    assert code == 3 and len(ours(err)) == 1 and "model.safetensors" in err


@needs_mpi
@pytest.mark.parametrize("early", ["", EARLY], ids=["late", "early"])
def test_a_bug_on_one_rank_ends_all_and_names_the_rank(story, early):
    patch = "from npgpt.training import team; team.Team.sum_gradients = lambda *given: 1 / 0"
    code, _, err = run(2, "train", "--mpi", "--corpus", story, "--out", "run", *TINY, patch=patch,
                       everywhere=early)
    assert code == 1 and "ZeroDivisionError" in err
    assert any(line.startswith("npgpt: rank 1 on ") for line in ours(err))


@needs_mpi
def test_what_a_run_writes_is_that_of_one_process(story):
    """Samples, probes, exports and what is printed are rank 0's alone."""
    options = ["--watch", "entropy,gradients,updates", "--watch-every", "2", "--log", "csv"]
    written = {}
    for out, n in ("one", None), ("two", 2):
        arguments = ["train", "--corpus", str(story), "--out", out, *TINY, *options]
        assert (main(arguments) if n is None else run(n, *arguments, "--mpi")[0]) == 0
        written[out] = sorted(str(p.relative_to(out)) for p in Path(out).rglob("*") if p.is_file())
        assert [record["step"] for record in read_log(Path(out))] == [
            0, 1, 2, 3, 4, 4]       # the last: what the probes took
    assert written["one"] == written["two"]
    shown = Path("stdout.txt").read_text()
    assert shown.count("corpus ") == 1 and "ranks      2 on 1 machine, 1 thread each" in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if str(story) not in line)


@needs_mpi
def test_the_ranks_of_a_machine_share_its_cores(story, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    code, out, err = run(2, "train", "--mpi", "--corpus", story, "--out", "run", *TINY)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    each = max(1, cores // 2)
    assert code == 0, err
    assert f"ranks      2 on 1 machine, {each} thread{'s' if each > 1 else ''} each" in out


@needs_mpi
def test_without_mpiexec_there_is_one_rank_which_says_so(process, story):
    out, err = (alone := process("train", "--mpi", "--corpus", story, "--out", "run", *TINY)
                ).communicate()
    assert alone.returncode == 0
    assert err == ("npgpt: --mpi: this is the only rank; mpiexec -n 4 npgpt train --mpi ... starts "
                   "four\n")
    assert json.loads(LOG.read_text().splitlines()[-1])["step"] == 4


def test_without_mpi4py_one_line_names_the_extra(npgpt, story, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    code, out, err = npgpt("train", "--mpi", "--corpus", story, *TINY)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("npgpt: --mpi needs mpi4py") and "pip install 'npgpt[mpi]'" in err


def test_without_the_option_nothing_of_mpi_is_imported(npgpt, story, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert npgpt("train", "--corpus", story, *TINY)[0] == 0
