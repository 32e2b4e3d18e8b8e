"""Ranks: the processes that `mpiexec -n N` or Slurm's `srun` starts, over one communicator of MPI.

    ranks = connect()                       every process does; it has ranks.rank of ranks.size
    part = ranks.part(flat)                 a rank's own part of a flat array
    ranks.reduce_scatter(read, mine)        mine: the sum over ranks of that part
    ranks.gather(flat)                      every rank's part, in its place, on all ranks

What is summed comes in an order that only the sizes decide: the same N gives the same bits in every
run. Needs mpi4py, the extra `mpi`; nothing is imported before `connect`.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, NoReturn

import numpy as np
from numpy.typing import DTypeLike

from ..arrays import Array
from ..suggest import one_line
from .beginning import has_begun

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

# numbers that one reduce-scatter sends, and that a bucket of training has at least: its scratch
# stays in cache, and takes little memory; and at least so many for each rank: of more than 64
# ranks, latency would take longer than sending
BUCKET, LEAST = 2**20, 2**14
# at 1 Gb/s a card sends 60 kB meanwhile, far less than the kernel buffers
POLL_SECONDS = 0.0005
# how many processes a starter says that there are; that of MPICH, Open MPI and Slurm
_STARTED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")

# the first rank to end is the one that was killed: the others follow within milliseconds, those of
# another machine too, which is why the time is there
_WATCHER = """
import os, select, sys
from datetime import datetime
ranks = [text.split(":", 1) for text in sys.argv[1:]]
events, names = select.epoll(), {}
for process, name in ranks:
    handle = os.pidfd_open(int(process))
    events.register(handle, select.EPOLLIN)
    names[handle] = process, name
events.register(0, select.EPOLLIN)      # written to or closed by the first rank, whose child we are
ended = [handle for handle, _ in events.poll()]
if not (0 in ended and os.read(0, 4)):
    # the first rank closes its pipe before it counts as ended, and perhaps after the one before it
    events.unregister(0)
    lost = [handle for handle in ended if handle] or [handle for handle, _ in events.poll(5)]
    text = "npgpt: {1}, process {0}, ended before all others of its machine, at {2:%H:%M:%S.%f}\\n"
    if lost:
        os.write(2, text.format(*names[lost[0]], datetime.now().astimezone()).encode())
"""


class Ended(SystemExit):
    """Another rank ends the job, and says why: this one ends quietly, with the same exit code."""


class Ranks:
    """The ranks of a communicator, seen from one of them. Every method is called by all of them."""

    def __init__(self, comm: Comm) -> None:
        self.comm = comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        self.over = False
        """Whether all ranks know that the job ends."""
        self._watcher: subprocess.Popen[bytes] | None = None
        self.busy = False
        """Whether the others wait for this one within something that all do together."""
        self.hosts: list[str] = comm.allgather(platform.node())
        self.processes: list[int] = comm.allgather(os.getpid())
        self.per_core = self._per_core()
        """How many ranks share a core that this one may use, on average."""
        self.names = [f"rank {rank} on {host}" for rank, host in enumerate(self.hosts)]

    # arrays

    def length(self, count: int) -> int:
        """How long a flat array for `count` numbers is, to be cut into equal parts."""
        return -(-count // self.size) * self.size

    def part(self, flat: Array) -> Array:
        """This rank's part of a flat array (N * P,): a view (P,)."""
        size = len(flat) // self.size
        return flat[self.rank * size:(self.rank + 1) * size]

    def reduce_scatter(self, read: Callable[[int, int, Array], object], mine: Array,
                       bucket: int | None = None, aside: bool = False) -> None:
        """Write into `mine` (P,) the sum over all ranks of this rank's part of a flat array.

        `read(start, stop, out)` fills `out` with those numbers of this rank's flat array (N * P,),
        which itself need not exist. `aside` is for a thread beside one that computes: it sleeps
        where MPI would wait busily.
        """
        from mpi4py import MPI

        count, each = len(mine), bucket_part(self.size, bucket)
        scratch = np.empty(self.size * min(each, count), mine.dtype)
        for start in range(0, count, each):
            stop = min(start + each, count)
            send = scratch[:self.size * (stop - start)]
            for rank, out in enumerate(np.split(send, self.size)):
                read(rank * count + start, rank * count + stop, out)
            request = self.comm.Ireduce_scatter_block(send, mine[start:stop], MPI.SUM)
            while aside and not request.Test():
                time.sleep(POLL_SECONDS)
            request.Wait()

    def gather(self, flat: Array) -> None:
        """Fill a flat array (N * P,), in which every rank has written its part, on all ranks."""
        from mpi4py import MPI

        self.comm.Allgather(MPI.IN_PLACE, flat)

    def gather_at_0(self, part: Array) -> Array | None:
        """All parts (P,) behind each other (N * P,) on rank 0; None on the others."""
        whole = np.empty(self.size * len(part), part.dtype) if self.rank == 0 else None
        self.comm.Gather(part, whole, 0)
        return whole

    def scatter_from_0(self, whole: Array | None, count: int, dtype: DTypeLike) -> Array:
        """This rank's part (P,), P = `count`, of an array (N * P,) that only rank 0 need have."""
        part = np.empty(count, dtype)
        self.comm.Scatter(whole, part, 0)
        return part

    def copy_from_0(self, array: Array) -> None:
        """Fill an array on every rank with what rank 0 has in it."""
        self.comm.Bcast(array, 0)

    # small things

    def all(self, value: object) -> list[Any]:
        """The value of every rank, in their order."""
        found: list[Any] = self.comm.allgather(value)
        return found

    def numbers(self, *own: float) -> Array:
        """Some numbers (K,) of every rank, (N, K) float64."""
        found = np.empty((self.size, len(own)))
        self.comm.Allgather(np.array(own, np.float64), found)
        return found

    def broadcast(self, value: object = None) -> Any:
        """What rank 0 has."""
        return self.comm.bcast(value, 0)

    def _per_core(self) -> float:
        mine = _cores()
        others = [cores for cores, host in zip(self.all(mine), self.hosts)
                  if host == self.hosts[self.rank]]
        shares = sum(1 / sum(core in cores for cores in others) for core in mine)
        return len(mine) / shares

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.comm.Barrier()

    # errors

    def check_same(self, facts: Mapping[str, object]) -> None:
        """Raise ValueError on rank 0, naming what differs, unless all ranks have the same facts.

        The other ranks raise Ended.
        """
        found = self.all(dict(facts))
        for rank, other in enumerate(found):
            for name in {**found[0], **other}:
                here, there = found[0].get(name), other.get(name)
                if here != there:
                    self._end(ValueError(f"{name} is {there} on {self.names[rank]}, {here} on "
                                         f"{self.names[0]}; expected the same on all ranks"), 2)

    @contextmanager
    def together(self, status: Callable[[Exception], int | None]) -> Iterator[None]:
        """Raise on rank 0 what goes wrong in here on any rank, with the name of that rank.

        The other ranks raise Ended with `status`, the error's exit code. An error that has none is
        raised where it is.
        """
        failed: Exception | None = None
        try:
            yield
        except Exception as error:
            if status(error) is None or self.rank == 0 == self.size - 1:
                raise
            failed = error
        found = self.all(None if failed is None else (one_line(str(failed)), status(failed)))
        if failed is not None and self.rank == 0:
            self.over = True
            raise failed
        for name, other in zip(self.names, found):
            if other is not None:
                text, code = other
                self._end(OSError(f"{name}: {text}") if code == 3 else
                          ValueError(f"{name}: {text}"), code)

    def watch(self) -> None:
        """Have the rank named on stderr that is killed: mpiexec knows its process at best.

        A process of the first rank of each machine does it, since mpiexec kills all ranks at once.
        Only Linux has what it takes.
        """
        here = [rank for rank, host in enumerate(self.hosts) if host == self.hosts[self.rank]]
        if self.rank == here[0] and hasattr(os, "pidfd_open"):
            named = [f"{self.processes[rank]}:{self.names[rank]}" for rank in here]
            self._watcher = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _WATCHER, *named], start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        has_begun()

    def _end(self, error: Exception, code: int) -> NoReturn:
        self.over = True
        if self.rank == 0:
            raise error
        raise Ended(code)

    def close(self) -> None:
        """Leave MPI, once all ranks do; without it a process that ends has failed."""
        from mpi4py import MPI

        self._unwatch()
        MPI.Finalize()

    def abort(self, code: int) -> None:
        """End every rank now, wherever they are, with this exit code; does not return."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        self._unwatch()
        # mpiexec drops what it has not forwarded yet
        time.sleep(0.3)
        self.comm.Abort(code)

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.communicate(b"over")
            self._watcher = None


def bucket_part(size: int, bucket: int | None = None) -> int:
    """How many numbers of each rank's part one reduce-scatter sends; `bucket` are those of all."""
    return max(1, bucket // size) if bucket else max(LEAST, BUCKET // size)


def _cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def connect() -> Ranks:
    """The ranks of this job; one if it was not started by `mpiexec` or `srun`.

    Any thread may call MPI.

    Raises ImportError, naming the extra, where mpi4py is missing, and ValueError where several
    processes were started that do not see each other.
    """
    try:
        import mpi4py

        mpi4py.rc.thread_level = "multiple"
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(f"--mpi needs mpi4py and an MPI ({error}); "
                          f"install both with pip install 'npgpt[mpi]'") from None
    except RuntimeError as error:       # mpi4py is there, and the library of no MPI
        raise ImportError(f"{error}; install an MPI with pip install 'npgpt[mpi]'") from None
    ranks = Ranks(MPI.COMM_WORLD)
    for name in _STARTED:
        started = os.environ.get(name, "1")
        if ranks.size == 1 and started.isdecimal() and int(started) > 1:
            raise ValueError(f"{started} processes were started ({name}), but each sees itself "
                             f"alone: start them with the mpiexec of the MPI that mpi4py uses, "
                             f"{MPI.Get_library_version().split()[0]}, or with srun and the "
                             f"--mpi= that fits it (pmi2 for MPICH)")
    return ranks
