"""Jobs of several ranks, started by a real mpiexec; where it or mpi4py is missing, tests skip."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
needs_mpi = pytest.mark.skipif(find_spec("mpi4py") is None or MPIEXEC is None,
                               reason="needs the extra mpi")
# a job that hangs fails; one that is slow does not
LIMIT = 300

NPGPT = (sys.executable, "-m", "npgpt")
# something of npgpt is changed first: on every rank, and on rank 1 alone
PATCHED = """
import os, sys
EVERYWHERE
if os.environ["PMI_RANK"] == "1":
    PATCH
from npgpt.cli import main
sys.exit(main(sys.argv[1:]))
"""
# many small buckets, as of a large model, summed while backward runs or after it
BUCKETS = """
from functools import partial
from npgpt.training import ranked, team
team.BUCKET, team.LEAST = 500, 1
ranked.Team = partial(team.Team, overlap={})
sum_bucket = team.Team._sum
def noted(self, i, grads, aside=False):
    if aside:
        open(f"early-{{self.ranks.rank}}", "a").write(f"{{i}}\\n")
    sum_bucket(self, i, grads, aside)
team.Team._sum = noted"""
EARLY, LATE = BUCKETS.format(True), BUCKETS.format(False)


class Job:
    """A running job; its stderr grows in a file, where it can be read meanwhile."""

    def __init__(self, *segments, patch="", everywhere=""):
        """Start segments (options of mpiexec, arguments of npgpt), each with its own."""
        text = PATCHED.replace("PATCH", patch or "pass").replace("EVERYWHERE", everywhere)
        program = (sys.executable, "-c", text) if patch or everywhere else NPGPT
        command = [MPIEXEC]
        for options, arguments in segments:
            command += [*([":"] if len(command) > 1 else []), *map(str, options), *program,
                        *map(str, arguments)]
        self.errors = Path("stderr.txt")
        with self.errors.open("w") as errors, open("stdout.txt", "w") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})

    def wait(self):
        """Exit code, stdout, stderr."""
        try:
            code = self.process.wait(LIMIT)
        finally:
            self.process.kill()
        return code, Path("stdout.txt").read_text(), self.errors.read_text()

    def until(self, happened):
        """Wait until happened() is true."""
        while not happened():
            assert self.process.poll() is None, self.errors.read_text()

    def ranks(self, n):
        """The processes of the n ranks, once all are there: mpiexec's grandchildren."""
        def found():
            return {rank: process for proxy in children(self.process.pid)
                    for process in children(proxy)
                    for rank in re.findall(r"\0PMI_RANK=(\d+)", _read(process, "environ"))}

        self.until(lambda: len(found()) == n)
        return [found()[str(rank)] for rank in range(n)]


def _read(process, name):
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except OSError:
        return ""


def children(process):
    """The processes that a process has started."""
    return [int(child) for child in _read(process, f"task/{process}/children").split()]


def run(n, *arguments, **settings):
    """Run npgpt as n ranks to its end: exit code, stdout, stderr."""
    return Job((["-n", n], arguments), **settings).wait()
