"""A rank that is killed before the ranks have met, with a real job and a real signal."""

import os
import platform
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ..mpi import ROOT, Job, children, needs_mpi

# both ranks sleep where they would import NumPy and MPI
BEGINS = """
import sys, time
from npgpt import cli
cli.main = lambda: time.sleep(1000)
sys.exit(cli.entry())
"""


@needs_mpi
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux alone")
@pytest.mark.parametrize("number", [0, 1])
def test_a_rank_that_is_killed_before_the_ranks_have_met_is_named(tmp_path, monkeypatch, number):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"{Job.__module__}.NPGPT", (sys.executable, "-c", BEGINS))
    job = Job((["-n", 2], ["train", "--mpi"]))
    ranks = job.ranks(2)

    def watched():
        """Whether the process that waits does so for its stdin and both ranks."""
        with suppress(OSError, ValueError):
            [waiting] = children(ranks[0])
            return any(file.read_text().count("tfd:") == 3
                       for file in Path(f"/proc/{waiting}/fdinfo").iterdir())

    job.until(watched)
    os.kill(ranks[number], signal.SIGKILL)
    code, _, err = job.wait()
    assert code
    [line] = [line for line in err.splitlines() if line.startswith("npgpt: ")]
    assert line.startswith(f"npgpt: rank {number} on {platform.node()}, process {ranks[number]}, "
                           f"ended before the ranks had met, at ")


@pytest.mark.parametrize("arguments", [["--help"], ["--nonsense"]])
def test_a_rank_that_ends_by_itself_is_no_loss(arguments):
    done = subprocess.run([sys.executable, "-m", "npgpt", "train", "--mpi", *arguments],
                          capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), "PMI_RANK": "0",
                               "MPI_LOCALRANKID": "0"})
    assert "the ranks had met" not in done.stderr
