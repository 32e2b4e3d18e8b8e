"""The processes of a study's runs: who starts them, and those of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from .folder import Machine, Run, machine

# runs go side by side: a thread that BLAS adds to one of them is taken from another
_ONE_THREAD = {name: "1" for name in (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")}
# how `npgpt train` exits after it was interrupted and has saved
INTERRUPTED = 130


class Process(Protocol):
    """A run that goes, here or elsewhere."""

    def poll(self) -> int | None:
        """Its exit code, None while it goes."""

    def terminate(self) -> None:
        """Ask it to save and stop."""

    def wait(self) -> int:
        """Its exit code, once it has ended."""


class Starter(Protocol):
    """Who starts the runs of a study."""

    @property
    def jobs(self) -> int:
        """Runs at a time."""

    def begin(self, folder: Path) -> list[Machine]:
        """Get ready for the study in `folder`; the machines that its runs go on."""

    def start(self, run: Run, arguments: list[str]) -> Process:
        """`npgpt train` with these arguments."""

    def close(self) -> None:
        """All have ended."""


class Here:
    """Starts runs as processes of this machine. They save and stop if this process dies."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pipe: tuple[int, ...] = ()

    def begin(self, folder: Path) -> list[Machine]:
        """This machine."""
        # it ends when this process does: the runs' stdin
        self._pipe = os.pipe()
        return [machine()]

    def start(self, run: Run, arguments: list[str]) -> subprocess.Popen[bytes]:
        """`npgpt train` with these arguments, in a process of its own."""
        # the runs use the very package that runs now, whether it is installed or not
        home = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
        one = _ONE_THREAD if run.config.train.threads == 1 else {}
        with run.beside(".txt").open("ab") as messages:
            return subprocess.Popen(
                [sys.executable, "-m", "npgpt.lab.child", "train", *arguments],
                stdin=self._pipe[0], stdout=subprocess.DEVNULL, stderr=messages,
                env={**os.environ, **one, "PYTHONPATH": path},
                # Ctrl-C in the terminal must reach us alone: we pass it on to the runs, once
                start_new_session=True,
            )

    def close(self) -> None:
        """Let go of the pipe; a run that still goes stops."""
        for end in self._pipe:
            os.close(end)
        self._pipe = ()
