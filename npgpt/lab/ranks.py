"""A study over MPI: every rank trains one run at a time, rank 0 too.

    mpiexec -n 8 npgpt lab run small --mpi

Rank 0 reads the study, holds its folder, writes results and reports. It takes next to no time for
that, so it has a run of its own as well; the other ranks serve an `mpi4py.futures` executor. As
without MPI, a run is a process of its own: it saves and stops when the study is interrupted, and
also when its rank dies. MPI then ends the whole job, and the same command continues the study.
"""

from __future__ import annotations

import signal
import time
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable, Iterator, cast

from ..machine.ranks import Ranks, connect
from ..version import VERSION
from .folder import STUDY_FILE, Machine, Run
from .processes import INTERRUPTED, Here, Process

if TYPE_CHECKING:
    from mpi4py import MPI

_POLL_SECONDS = 0.05
# a file just written may take so long to be seen through a network's file system
PATIENCE_SECONDS = 3.0
# what a task of the executor finds on its rank
_serving: _Serving | None = None


@contextmanager
def on_ranks() -> Iterator[Everywhere | None]:
    """On rank 0 the starter of a study's runs; on the others None, once they are not needed.

    Raises ImportError, naming the extra, without mpi4py; ValueError where the ranks have different
    versions of npgpt.
    """
    global _serving
    ranks = connect()
    try:
        ranks.watch()
        ranks.check_same({"npgpt": VERSION})
        if ranks.rank > 0:
            _serving = _Serving(ranks.comm.Dup())
            _serving.serve()
            yield None
            return
        everywhere = Everywhere(ranks, ranks.comm.Dup())
        try:
            yield everywhere
        finally:
            everywhere.close()
    finally:
        ranks.close()


class Everywhere:
    """Starts runs on all ranks, one at a time on each. A `Starter`, for rank 0."""

    def __init__(self, ranks: Ranks, comm: MPI.Comm) -> None:
        self.jobs = ranks.size
        self._names = ranks.names
        self._comm = comm
        self._here = Here(1)
        self._own: Process | None = None
        self._executor: Executor | None = None
        self._stack = ExitStack()
        self._begun = self._stopped = False

    def begin(self, folder: Path) -> list[Machine]:
        """Have every rank look at the study, and give their machines.

        Raises ValueError, naming rank and host, for a rank that does not see the folder.
        """
        machines = self._here.begin(folder)
        self._begun = True
        text = (folder / STUDY_FILE).read_text(encoding="utf-8")
        self._send((folder, text))
        answers = [self._comm.recv(source=rank) for rank in range(1, self.jobs)]
        if self.jobs > 1:
            from mpi4py.futures import MPICommExecutor

            self._executor = cast(Executor, self._stack.enter_context(MPICommExecutor()))
        for name, (its, sees) in zip(self._names[1:], answers):
            if not sees:
                raise ValueError(f"{name} does not see {folder}; a study's folder must be on a "
                                 f"file system that all ranks share")
            machines.append(its)
        return machines

    def start(self, run: Run, arguments: list[str]) -> Process:
        """`npgpt train` with these arguments, on this rank if it is free, else on another."""
        if self._executor is not None and self._own is not None and self._own.poll() is None:
            return _Remote(self._executor.submit(_train, run, arguments), self._stop)
        self._own = self._here.start(run, arguments)
        return self._own

    def close(self) -> None:
        """Let the other ranks go; what still goes there saves and stops first."""
        if not self._begun:
            self._begun = self._stopped = True
            self._send(None)
        self._stop()
        self._stack.close()
        self._here.close()

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._send("stop")

    def _send(self, what: object) -> None:
        for rank in range(1, self.jobs):
            self._comm.send(what, rank)


@dataclass
class _Remote:
    """A run on another rank."""

    future: Future[int]
    terminate: Callable[[], None]

    def poll(self) -> int | None:
        return self.future.result() if self.future.done() else None

    def wait(self) -> int:
        return self.future.result()


class _Serving:
    """A rank that serves: it trains what rank 0 asks for, until rank 0 says stop."""

    def __init__(self, comm: MPI.Comm) -> None:
        self._comm = comm
        self._here = Here(1)
        self._asked = False

    def serve(self) -> None:
        """Until rank 0 needs nothing more."""
        from mpi4py.futures import MPICommExecutor

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)
        beginning = self._next()
        if beginning is None:
            return
        folder, text = beginning
        [mine] = self._here.begin(folder)
        self._comm.send((mine, _sees(folder, text)), 0)
        # its with statement is this rank's whole work, and ends with that of rank 0
        with MPICommExecutor():
            pass
        self._next()
        self._here.close()

    def train(self, run: Run, arguments: list[str]) -> int:
        """`npgpt train` with these arguments; its exit code."""
        if self._must_stop():
            return INTERRUPTED
        process = self._here.start(run, arguments)
        while (code := process.poll()) is None:
            if self._must_stop():
                process.terminate()
                return process.wait()
            time.sleep(_POLL_SECONDS)
        return code

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def _must_stop(self) -> bool:
        return self._asked or bool(self._comm.iprobe(source=0))

    def _next(self) -> Any:
        # a blocking receive would keep the processor busy
        while not self._comm.iprobe(source=0):
            time.sleep(_POLL_SECONDS)
        return self._comm.recv(source=0)


def _sees(folder: Path, text: str) -> bool:
    """Whether a study's folder is the one in which rank 0 has written that text."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if (folder / STUDY_FILE).read_text(encoding="utf-8") == text:
                return True
        except OSError:
            pass
        time.sleep(_POLL_SECONDS)
    return False


def _train(run: Run, arguments: list[str]) -> int:
    assert _serving is not None
    return _serving.train(run, arguments)
