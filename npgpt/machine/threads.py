"""Threads: how many there are, when they pay, and who does what.

NumPy lets go of Python's lock while it computes, so Python threads are enough. Two rules:

*One kind of threads at a time.* Where we cut the work ourselves, BLAS is held to one thread:
its own threads would wait for each other's turn on the same cores.
*The cut does not depend on luck.* Which part a number belongs to follows from shapes and the
number of threads alone, so a result is the same bits in every run.

Handing work to a thread and waiting for it costs some 90 microseconds; the sizes below are where
that was measured to be repaid.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Callable, Iterator

import numpy as np

# elementwise work on fewer numbers than this stays on one thread
ELEMENTS = 2**18
# and so does a matrix product of fewer multiply-adds
PRODUCT = 2**23
# so do updates and norms of fewer parameters; one thread's memory is quick enough for them
UPDATE, NORM = 2**21, 2**24
# decoding: weights times tokens for a product, and keys times channels for attention
STREAM, KEYS = 2**20, 2**20
# above this many weights in matrices and tables, adding up the shards' gradients costs too much
SHARD_PARAMETERS = 2**25
# below this many weights times positions a batch is not cut, and below the second its shards go one
# after the other where there are no helper processes: 2 blocks of 16 channels on B5 T16 took 1.1 ms
# on one thread, 4.4 in shards on two; 4 of 64 on B12 T64 20 and 20; of 128, 51 and 35
SHARD_WORK, THREAD_WORK = 2**23, 2**27

_threads: int | None = None
_local = threading.local()
_lock = threading.Lock()
_blas: Any = None
_held = 0
_limit: Any = None
_jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
_workers = 0


def set_threads(n: int) -> None:
    """Use n threads from now on, in our own loops and in BLAS; 1 means no helpers at all."""
    global _threads
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"threads={n!r} must be a whole number of at least 1")
    _threads = n
    _blas_controller().limit(limits=n)


def get_threads() -> int:
    """How many threads are used: as set, or as OMP_NUM_THREADS says, or one per core we may use."""
    global _threads
    if _threads is None:
        _threads = _environment_threads() or _cores()
    return 1 if alone() else _threads


@contextmanager
def using(n: int | None) -> Iterator[None]:
    """Use n threads in here; None changes nothing."""
    global _threads
    if n is None:
        yield
        return
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"threads={n!r} must be a whole number of at least 1")
    before, _threads = _threads, n
    try:
        yield
    finally:
        _threads = before


def alone() -> bool:
    """Whether this code already runs on one of several threads, and so must not start more."""
    return getattr(_local, "alone", False)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS uses one thread in here, so that our own threads can use all cores. May be nested."""
    global _held, _limit
    with _lock:
        _held += 1
        if _held == 1:
            _limit = _blas_controller().limit(limits=1)
    try:
        yield
    finally:
        with _lock:
            _held -= 1
            if _held == 0:
                _limit.restore_original_limits()
                _limit = None


@contextmanager
def blas_threads() -> Iterator[None]:
    """BLAS uses all our threads in here, for products that are bound by memory.

    Its threads wait in a spin and are there at once. Where BLAS is held to one thread already, or
    there is but one thread to use, it stays with one.
    """
    if _held or get_threads() == 1:
        with one_blas_thread():
            yield
        return
    limit = _blas_controller().limit(limits=get_threads())
    try:
        yield
    finally:
        limit.restore_original_limits()


def each(work: Callable[[int], None], count: int, pays: bool = True) -> None:
    """Run work(0) .. work(count - 1), on all threads if it `pays`; whoever is free takes the next.

    The calls must write to different places. An error in one of them is raised here.
    """
    helpers = min(get_threads(), count) - 1
    if not pays or helpers < 1:
        for i in range(count):
            work(i)
        return
    with one_blas_thread():
        _share(work, count, helpers)


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


def _share(work: Callable[[int], None], count: int, helpers: int) -> None:
    _start_workers(helpers)
    turns = iter(range(count))
    error_state = np.geterr()
    done: SimpleQueue[BaseException | None] = SimpleQueue()

    def take_turns() -> BaseException | None:
        _local.alone = True
        try:
            # NumPy keeps its floating-point error settings per thread: take the caller's along
            with np.errstate(**error_state):
                for i in turns:
                    work(i)
        except BaseException as error:  # handed to the caller's thread, which raises it
            return error
        finally:
            _local.alone = False
        return None

    for _ in range(helpers):
        _jobs.put(lambda: done.put(take_turns()))
    errors = [take_turns()]
    # every helper must have left before we return: it writes into our caller's arrays
    errors += [done.get() for _ in range(helpers)]
    for error in errors:
        if error is not None:
            raise error


def _start_workers(wanted: int) -> None:
    global _workers
    with _lock:
        while _workers < wanted:
            _workers += 1
            threading.Thread(target=_serve, args=(_jobs,), daemon=True, name="npgpt").start()


def _serve(jobs: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        jobs.get()()


def _forget_workers() -> None:
    # threads do not survive a fork: the child starts its own
    global _workers, _jobs, _held, _limit, _lock
    _workers, _jobs, _held, _limit, _lock = 0, SimpleQueue(), 0, None, threading.Lock()
    _local.alone = False


def _blas_controller() -> Any:
    global _blas
    if _blas is None:
        from threadpoolctl import ThreadpoolController

        _blas = ThreadpoolController().select(user_api="blas")
    return _blas


def _environment_threads() -> int | None:
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
