"""Worker processes for the training steps of small models: each computes a shard of the batch.

    with Workers(1) as workers:
        for step in range(steps):
            loss, grads = loss_and_grads(params, ids, targets, config, workers=workers)

A small model's step is thousands of NumPy calls of some microseconds. Threads of one process need
the GIL between any two of them, and one that finds it taken sleeps, which costs more than the call:
two threads take 0.65 of one thread's time instead of half. A process has a GIL of its own.
Parameters and gradients lie in shared memory; the batch goes through pipes, as a line of JSON. The
gradients are bit for bit those of the threads.

Workers start beside the first steps, which take threads meanwhile; where one dies or stops
answering, its shard is computed here. They end with `close`, and when this process does. Processes
and memory are the standard library's: nothing here needs Linux, where alone it was tried.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from ...config import GPT2Config
from ...fast.ops import FAST
from ...layers.contract import Array
from ...machine import threads
from .row_random import RowRandom
from .shard import Shard, shard_gradients

if TYPE_CHECKING:
    from multiprocessing.shared_memory import SharedMemory

# Ctrl-C goes to the whole group: our parent decides what it means. Tuned before NumPy is loaded
_PROGRAM = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from npgpt.machine import tune
tune()
from {__name__} import serve
serve(sys.argv[1], int(sys.argv[2]))
"""
# a worker is given up when it takes so many seconds, and so many times as long as our own shard
PATIENCE, TIMES = 5.0, 5.0
# arrays begin with a cache line
_LINE = 64


def _layout(described: Mapping[str, tuple[Sequence[int], str]]) -> np.dtype[np.void]:
    """Arrays of these shapes and dtypes as one element of a structured array, of whole pages."""
    formats = [np.dtype((dtype, tuple(shape))) for shape, dtype in described.values()]
    offsets, end = [], 0
    for one in formats:
        offsets.append(end)
        end += -(-one.itemsize // _LINE) * _LINE
    return np.dtype({"names": list(described), "formats": formats, "offsets": offsets,
                     "itemsize": -(-max(1, end) // mmap.PAGESIZE) * mmap.PAGESIZE})


class _Memory:
    """Shared memory as an array of bytes, mapped for as long as a view of it exists.

    SharedMemory itself unmaps when it is closed or collected, under the arrays in it.
    """

    def __init__(self, shared: SharedMemory) -> None:
        self._shared = shared
        assert shared.buf is not None
        self.__array_interface__ = np.frombuffer(shared.buf, np.uint8).__array_interface__

    def arrays(self, layout: np.dtype[np.void], piece: int) -> dict[str, Array]:
        """Those of the element number `piece`."""
        start = piece * layout.itemsize
        element = np.asarray(self)[start:start + layout.itemsize].view(layout)      # (1,)
        return {name: element[name][0, ...] for name in layout.names or ()}


class _Worker:
    """One process, and the thread that waits for its answers: no pipe can block the caller."""

    def __init__(self, memory_name: str, piece: int, described: str) -> None:
        home = str(Path(__file__).parents[3])
        path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, memory_name, str(piece)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        )
        self._messages: SimpleQueue[str | None] = SimpleQueue()
        self._sent = threading.Event()
        self._answers: SimpleQueue[object] = SimpleQueue()
        # the first message; its answer says that the worker is there
        self._messages.put(described)
        self._thread = threading.Thread(target=self._talk, daemon=True, name="npgpt-worker")
        self._thread.start()

    def ask(self, message: str) -> None:
        """Send a message; there will be one answer to it."""
        self._sent.clear()
        self._messages.put(message)
        # the thread gets the GIL now, not when we release it next; it may be stuck all the same,
        # with a long message that a stopped worker does not read
        self._sent.wait(0.1)

    def answer(self, patience: float) -> object:
        """The next answer; None if the worker has ended. Raises Empty after `patience` seconds."""
        # in slices: when all of us were stopped for a while (Ctrl-Z), the clock went on
        slices = 10
        for _ in range(slices):
            with contextlib.suppress(Empty):
                return self._answers.get(timeout=patience / slices)
        raise Empty

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._messages.put(None)
        self._thread.join()
        self._process.communicate()

    def _talk(self) -> None:
        pipes = self._process
        assert pipes.stdin is not None and pipes.stdout is not None
        while (message := self._messages.get()) is not None:
            there = _send(pipes.stdin, message)
            self._sent.set()
            self._answers.put(_receive(pipes.stdout) if there else None)


class Workers:
    """`count` worker processes for `loss_and_grads`; none where the system cannot have them."""

    def __init__(self, count: int) -> None:
        self.count = count if sys.executable else 0
        """How many there are, or will be; 0 where there can be none."""
        self._workers: list[_Worker] = []
        self._named: SharedMemory | None = None
        self._described: dict[str, tuple[tuple[int, ...], str]] = {}
        self._params: dict[str, Array] = {}
        self._grads: list[dict[str, Array]] = []

    def ready(self, count: int, params: Mapping[str, Array]) -> bool:
        """Whether `count` workers can take a shard of these parameters' step now.

        Starts them if they are not there yet.
        """
        if count != self.count or self.count == 0:
            return False
        described = {name: (a.shape, a.dtype.str) for name, a in params.items()}
        if described != self._described:
            self.close()
            self._start(described)
        while len(self._grads) < self.count:
            try:
                answer = self._workers[len(self._grads)].answer(0)
            except Empty:
                return False
            if answer is None:
                self._give_up()
                return False
            piece = 1 + len(self._grads)
            self._grads.append(self._memory.arrays(_layout(described), piece))
        self._forget_name()
        return self.count > 0

    def gradients(
        self, params: Mapping[str, Array], shards: Sequence[Shard]
    ) -> list[tuple[float, dict[str, Array]]]:
        """`shard_gradients` of every shard: the first here, the others on the workers.

        The arrays of all but the first are overwritten by the next call. Raises ValueError for an
        error in a worker.
        """
        try:
            for name, array in params.items():
                self._params[name][...] = array
            for worker, shard in zip(self._workers, shards[1:]):
                worker.ask(_written(shard))
            started = time.monotonic()
            results, whole = [_here(params, shards[0])], True
            patience = max(PATIENCE, TIMES * (time.monotonic() - started))
            for worker, shard, grads in zip(self._workers, shards[1:], self._grads):
                try:
                    answer = worker.answer(patience)
                except Empty:
                    answer = None
                if isinstance(answer, str):
                    raise ValueError(answer)
                # one that is gone or silent is not asked again: what follows is left to threads
                whole &= isinstance(answer, float)
                results.append((answer, grads) if isinstance(answer, float)
                               else _here(params, shard))
        except BaseException:
            # an answer to this step must not be taken for the next one's
            self.close()
            raise
        if not whole:
            self._give_up()
        return results

    def close(self) -> None:
        """End the workers; the next `ready` would start new ones."""
        for worker in self._workers:
            worker.end()
        self._forget_name()
        self._workers, self._grads, self._params, self._described = [], [], {}, {}

    def _give_up(self) -> None:
        self.close()
        self.count = 0

    def _start(self, described: dict[str, tuple[tuple[int, ...], str]]) -> None:
        layout = _layout(described)
        try:
            # not on every system
            from multiprocessing.shared_memory import SharedMemory

            self._named = SharedMemory(create=True, size=layout.itemsize * (1 + self.count))
            _reserve(self._named)
            for piece in range(1, 1 + self.count):
                self._workers.append(_Worker(self._named.name, piece, json.dumps(described)))
        except (ImportError, OSError):
            self._give_up()
            return
        self._memory = _Memory(self._named)
        self._described = described
        self._params = self._memory.arrays(layout, 0)

    def _forget_name(self) -> None:
        # once everybody has the memory, nothing can be left behind, however we end
        if self._named is not None:
            self._named.unlink()
            self._named = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _reserve(shared: SharedMemory) -> None:
    """Raise OSError if there is not enough room: later it would end the process, by SIGBUS.

    Linux takes the pages from /dev/shm as they are written; in a container that has often 64 MB.
    """
    path = Path("/dev/shm", shared.name)
    if hasattr(os, "posix_fallocate") and path.exists():
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, shared.size)


def _here(params: Mapping[str, Array], shard: Shard) -> tuple[float, dict[str, Array]]:
    with threads.using(1):
        return shard_gradients(params, shard, FAST)


def _send(pipe: IO[bytes], message: str) -> bool:
    """Write a message as a line; False if nobody is there to read it."""
    try:
        pipe.write(message.encode() + b"\n")
        pipe.flush()
    except OSError:
        return False
    return True


def _receive(pipe: IO[bytes]) -> Any:
    """Read a message; None if the other side is gone."""
    line = pipe.readline()
    return json.loads(line) if line.endswith(b"\n") else None


def _written(shard: Shard) -> str:
    return json.dumps({
        **shard._asdict(), "ids": shard.ids.tolist(), "targets": shard.targets.tolist(),
        "config": shard.config.to_dict(), "errors": np.geterr(),
        "rng": shard.rng.state() if isinstance(shard.rng, RowRandom) else None,
    })


def _read(message: dict[str, Any]) -> Shard:
    ids, targets = (np.asarray(message[name], np.int64) for name in ("ids", "targets"))
    rng = None if message["rng"] is None else RowRandom.from_state(message["rng"])
    config = GPT2Config.from_dict(message["config"])
    return Shard(ids, targets, config, rng, message["weight"], message["recompute"],
                 tuple(message["frozen"]))


def serve(memory_name: str, piece: int) -> None:
    """What a worker does: read shards from standard input until it ends, answer each."""
    answers = os.fdopen(os.dup(1), "wb")
    # nothing that is printed may get among the answers
    os.dup2(2, 1)
    described = _receive(sys.stdin.buffer)
    memory = _attached(memory_name)
    if described is None or memory is None:
        return
    layout = _layout(described)
    params, ours = memory.arrays(layout, 0), memory.arrays(layout, piece)
    _send(answers, json.dumps("ready"))
    with threads.using(1), threads.one_blas_thread():
        while (message := _receive(sys.stdin.buffer)) is not None:
            answer: float | str
            try:
                with np.errstate(**message["errors"]):
                    answer, grads = shard_gradients(params, _read(message), FAST)
                for name, grad in grads.items():
                    ours[name][...] = grad
            except Exception as error:
                answer = str(error) if isinstance(error, ValueError) else repr(error)
            if not _send(answers, json.dumps(answer)):
                return


def _attached(name: str) -> _Memory | None:
    """The memory of this name; None if our parent has ended, and it with it."""
    from multiprocessing import shared_memory

    if os.name != "nt":
        from multiprocessing import resource_tracker

        # before 3.13, Python would unlink at our end what is our parent's to unlink
        resource_tracker.register = lambda name, rtype: None
    with contextlib.suppress(FileNotFoundError):
        return _Memory(shared_memory.SharedMemory(name))
    return None
