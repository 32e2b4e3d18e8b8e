"""Threads: how many there are, when they pay, and who does what.

NumPy releases the GIL while it computes, so Python threads are enough. Two rules:

*One kind of threads at a time.* Where we cut the work ourselves, BLAS is limited to one thread:
its own threads would compete with ours for the same cores.
*The cut does not depend on luck.* Which part an element belongs to follows from shapes and the
number of threads alone, so a result is the same bits in every run. One exception: a single token
of a large model is left to BLAS's threads or to one, whichever is quicker at the moment
(quicker.py), and its last bits may follow that.

Handing work to a thread and waiting for it costs some 90 microseconds; `THRESHOLDS` says where
that was measured to be repaid.
"""

from __future__ import annotations

import math
import os
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Callable, Iterator

import numpy as np

from ..ids import check_integer
from . import blas


@dataclass
class Thresholds:
    """From which size on work is cut over threads; every call reads them anew."""

    # elementwise work on fewer elements than this stays on one thread
    elements: int = 2**18
    # and so does a matmul of fewer multiply-adds
    matmul: int = 2**23
    # so do updates and norms of fewer parameters; one thread's memory is quick enough for them
    update: int = 2**21
    norm: int = 2**24
    # decoding: weights times tokens for a matmul, and keys times channels for attention
    stream: int = 2**20
    keys: int = 2**20
    # a model of fewer weights decodes a single token on one thread, BLAS's too: its weights stay in
    # cache, which one core reads quickly enough
    decode: int = 2**25
    # above this many weights in matrices and tables, adding up shards' gradients costs too much
    shard_parameters: int = 2**25
    # below this many weights times positions a batch is not cut, and below the second its shards
    # go one after the other where there are no worker processes: 2 blocks of 16 channels on B5 T16
    # took 1.1 ms on one thread, 4.4 in shards on two; 4 of 64 on B12 T64 20, 20; of 128 51, 35
    shard_work: int = 2**23
    # and of a pass without shards, one BLAS thread is enough for ops that leave theirs to BLAS
    thread_work: int = 2**27


THRESHOLDS = Thresholds()

# more than any machine has; OpenBLAS takes an int of 32 bits
MOST = 2**15

_default: int | None = None
_asked: ContextVar[int | None] = ContextVar("threads", default=None)
_in_worker: ContextVar[bool] = ContextVar("in_worker", default=False)
_lock = threading.Lock()
_jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
_started = 0


def get_threads() -> int:
    """How many threads are used here: as `using` says, else `tune`, the environment or the cores.

    The environment is OPENBLAS_NUM_THREADS or OMP_NUM_THREADS; the cores are those that the
    process may use, by its affinity and its container's CPU quota.
    """
    global _default
    if _in_worker.get():
        return 1
    asked = _asked.get()
    if asked is not None:
        return asked
    if _default is None:
        _default = _environment_threads() or _cores()
    return _default


@contextmanager
def using(n: int | None) -> Iterator[None]:
    """Use n threads in here; None changes nothing. Other threads of the program do not notice.

    Raises ValueError for n below 1.
    """
    if n is None:
        yield
        return
    before = _asked.get()
    try:
        _asked.set(check_integer("threads", n, 1, MOST))
        yield
    finally:
        _asked.set(before)


def set_default(n: int) -> None:
    """Let npgpt and BLAS use n threads in the whole process; programs call `machine.tune` for it.

    Raises ValueError for n below 1.
    """
    global _default
    _default = check_integer("threads", n, 1, MOST)
    blas.set_default(_default)


def divide_cores(processes: float) -> None:
    """As many processes as this share our cores: use so many threads fewer from now on.

    Changes nothing where the environment says how many threads there are.
    """
    if _environment_threads() is None:
        set_default(max(1, int(_cores() / processes)))


def one_blas_thread() -> AbstractContextManager[None]:
    """BLAS uses one thread in here, so that our own threads can use all cores."""
    return blas.limited(1)


def blas_for(work: int) -> AbstractContextManager[None]:
    """BLAS keeps its threads in here where `work` multiply-adds pay for them, else it uses one.

    `work` is that of a whole pass: weights times positions. Threads of BLAS that wait for small
    matmuls in a spin gain nothing, and beside other programs they cost many times the work.
    """
    return nullcontext() if work >= THRESHOLDS.thread_work else one_blas_thread()


def blas_threads() -> AbstractContextManager[None]:
    """BLAS uses all our threads in here, for a matmul that is bound by memory.

    Its threads wait in a spin and are there at once. Where BLAS is limited to one thread already,
    by any thread of the program, it stays with one.
    """
    return blas.limited(get_threads())


def each(work: Callable[[int], None], count: int, pays: bool = True) -> None:
    """Run work(0) .. work(count - 1), on all threads if it `pays`; whoever is free takes the next.

    The calls must write to different places. An error in one of them is raised here.
    """
    others = min(get_threads(), count) - 1
    if not pays or others < 1:
        for i in range(count):
            work(i)
        return
    with one_blas_thread():
        _share(work, count, others)


def parts(work: Callable[[int, int], None], count: int, pays: bool = True, align: int = 1) -> None:
    """Run work(start, stop) over range(count) cut into one run per thread, if it `pays`.

    Inner borders are multiples of `align`.
    """
    n = min(get_threads(), count // align) if pays else 1
    if n <= 1:
        work(0, count)
        return
    steps = count // align
    borders = [steps * i // n * align for i in range(n)] + [count]
    each(lambda i: work(borders[i], borders[i + 1]), n)


def _share(work: Callable[[int], None], count: int, others: int) -> None:
    _start_threads(others)
    left, taking = iter(range(count)), threading.Lock()
    error_state = np.geterr()
    errors: list[BaseException | None] = []
    done: SimpleQueue[None] = SimpleQueue()
    # whoever takes a ticket decides: the thread, that it takes part, or we, that it is too late
    tickets = [threading.Lock() for _ in range(others)]

    def take() -> int | None:
        # without the GIL an iterator may give two threads the same, or skip
        with taking:
            return next(left, None)

    def take_part() -> BaseException | None:
        outside = _in_worker.get()
        try:
            _in_worker.set(True)
            # NumPy keeps its floating-point error settings per thread: take the caller's along
            with np.errstate(**error_state), blas.limited_here(1):
                for i in iter(take, None):
                    work(i)
        except BaseException as error:  # handed to the caller's thread, which raises it
            return error
        finally:
            _in_worker.set(outside)
        return None

    def help_out(ticket: threading.Lock) -> None:
        if ticket.acquire(blocking=False):
            errors.append(take_part())
            done.put(None)

    for ticket in tickets:
        _jobs.put(partial(help_out, ticket))
    own = [take_part()]
    # on a busy machine a thread may not have woken yet, with nothing left to do for it
    begun = sum(not ticket.acquire(blocking=False) for ticket in tickets)
    # every thread that has begun must have left before we return, even for Ctrl-C: it writes into
    # our caller's arrays
    while len(errors) < begun:
        try:
            done.get()
        except KeyboardInterrupt as error:
            own.append(error)
    for failure in own + errors:
        if failure is not None:
            raise failure


def _start_threads(wanted: int) -> None:
    global _started
    with _lock:
        while _started < wanted:
            _started += 1
            threading.Thread(target=_serve, args=(_jobs,), daemon=True, name="npgpt").start()


def _serve(jobs: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        jobs.get()()


def _after_fork() -> None:
    # threads do not survive a fork: the child starts its own
    global _started, _jobs, _lock
    _started, _jobs, _lock = 0, SimpleQueue(), threading.Lock()
    _in_worker.set(False)


def _environment_threads() -> int | None:
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return None


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(cores or 1, _cpu_quota(Path("/")))))


def _cpu_quota(root: Path) -> float:
    """How many cores' time this process's control groups may use (Linux); infinite for no limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    quota = math.inf
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            mount, files = root / "sys/fs/cgroup", ["cpu.max"]
        elif "cpu" in controllers.split(","):
            mount, files = root / "sys/fs/cgroup/cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        # the groups above limit it too; a container's own may be mounted at the top
        groups = [mount / group.lstrip("/"), *(mount / group.lstrip("/")).parents]
        for folder in groups[:groups.index(mount) + 1]:
            quota = min(quota, _read_quota([folder / name for name in files]))
    return quota


def _read_quota(files: list[Path]) -> float:
    try:
        used, period = map(int, " ".join(f.read_text(encoding="utf-8") for f in files).split())
    except (OSError, ValueError):       # no such group, or "max"
        return math.inf
    return used / period if used > 0 and period > 0 else math.inf


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
