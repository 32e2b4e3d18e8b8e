"""How many threads BLAS uses: limits that may nest and overlap, and always end where they began.

With pthreads, as in NumPy's wheels, OpenBLAS has one number for the whole process. So all limits
that are in force, of all our threads, stand in one list: the smallest holds, the first saves what
was set before and the last restores it. Where a BLAS has a number for each thread (OpenMP, MKL),
each thread has such a list of its own.

OpenBLAS is called directly, because threadpoolctl (3.8) ignores every thread but the first that
sets a limit: https://github.com/joblib/threadpoolctl/issues/220.
"""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple, Sequence

if TYPE_CHECKING:
    from threadpoolctl import LibController


class Library(NamedTuple):
    """One BLAS of this process."""

    get_threads: Callable[[], int]
    set_threads: Callable[[int], object]
    per_thread: bool
    """Whether a number set by one thread holds for that thread alone."""


@dataclass(frozen=True, eq=False)
class Limit:
    """So many threads, and the thread that asked for it."""

    n: int
    owner: int = field(default_factory=threading.get_ident)


class Limits:
    """The limits in force on some libraries."""

    def __init__(self, libraries: Sequence[Library]) -> None:
        self._libraries = libraries
        self._lock = threading.Lock()
        self._active: list[Limit] = []
        self._before: list[int] = []
        self._applied: list[int] = []

    def enter(self, limit: Limit) -> None:
        """Use at most as many threads as a limit says, until it is left."""
        with self._lock:
            # they differ after a `leave` that an interrupt cut short: then what was before is known
            if not self._active and self._applied == self._before:
                self._before = [library.get_threads() for library in self._libraries]
                self._applied = self._before
            self._active.append(limit)
            self._apply()

    def leave(self, limit: Limit) -> None:
        """End a limit, if it was entered and not left yet."""
        with self._lock:
            self._active = [other for other in self._active if other is not limit]
            self._apply()

    def set_default(self, n: int) -> None:
        """Use n threads wherever there is no limit."""
        with self._lock:
            self._before, self._applied = [n] * len(self._libraries), []
            self._apply()

    def after_fork(self) -> None:
        """Forget the limits of threads that a forked child does not have."""
        self._lock = threading.Lock()
        had, here = bool(self._active), threading.get_ident()
        self._active = [limit for limit in self._active if limit.owner == here]
        if had:
            self._apply()

    def _apply(self) -> None:
        least = min((limit.n for limit in self._active), default=None)
        wanted = self._before if least is None else [least] * len(self._libraries)
        # set only where it changes: decoding enters a nested limit for every matmul
        if wanted != self._applied:
            for library, n in zip(self._libraries, wanted):
                library.set_threads(n)
            self._applied = wanted


class LimitsOfThread(threading.local, Limits):
    """Limits on libraries with a number for each thread: every thread has a list of its own."""


def limited(n: int) -> AbstractContextManager[None]:
    """BLAS uses n threads in here, or fewer where another limit in force says so."""
    return _limited(_limits or _find(), n)


def limited_here(n: int) -> AbstractContextManager[None]:
    """The same for the calling thread alone, in libraries that have a number for each thread."""
    private = (_limits or _find())[1:]
    return _limited(private, n) if private else _NOTHING


_NOTHING = nullcontext()


@contextmanager
def _limited(limits: Sequence[Limits], n: int) -> Iterator[None]:
    limit = Limit(n)
    try:
        for one in limits:
            one.enter(limit)
        yield
    finally:
        try:
            _leave(limits, limit)
        except BaseException:       # Ctrl-C comes at any moment, this one included
            _leave(limits, limit)
            raise


def _leave(limits: Sequence[Limits], limit: Limit) -> None:
    for one in limits:
        one.leave(limit)


def set_default(n: int) -> None:
    """Let BLAS use n threads from now on wherever there is no limit."""
    for one in _limits or _find():
        one.set_default(n)


_lock = threading.Lock()
# of the libraries with one number for the process, and of those with one for each thread
_limits: list[Limits] = []


def _find() -> list[Limits]:
    # only what is loaded can be found
    import numpy  # noqa: F401
    from threadpoolctl import ThreadpoolController

    with _lock:
        if not _limits:
            found = ThreadpoolController().select(user_api="blas").lib_controllers
            libraries = [_library(lib) for lib in found]
            private = [library for library in libraries if library.per_thread]
            shared = Limits([library for library in libraries if not library.per_thread])
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=shared.after_fork)
            _limits.extend([shared, LimitsOfThread(private)] if private else [shared])
        return _limits


def _library(lib: LibController) -> Library:
    if lib.internal_api != "openblas" or lib.threading_layer == "openmp":
        return Library(lib.get_num_threads, lib.set_num_threads, per_thread=True)
    names = (f"{prefix}openblas_set_num_threads{suffix}" for prefix, suffix in
             itertools.product(("", "scipy_"), ("", "64_", "_64")))
    direct = [getattr(lib.dynlib, name) for name in names if hasattr(lib.dynlib, name)]
    return Library(lib.get_num_threads, direct[0] if direct else lib.set_num_threads,
                   per_thread=False)
