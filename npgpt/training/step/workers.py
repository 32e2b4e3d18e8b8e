"""Helper processes for the training steps of small models: each computes a shard of the batch.

    with Helpers(1) as helpers:
        for step in range(steps):
            loss, grads = loss_and_grads(params, ids, targets, config, helpers=helpers)

A small model's step is thousands of NumPy calls of some microseconds. Threads of one process need
Python's lock between any two of them, and one that finds it taken sleeps, which costs more than the
call: two threads take 0.65 of one thread's time instead of half. A process has a lock of its own.
Parameters and gradients lie in memory that all of them share; the batch goes through pipes, as a
line of JSON. The gradients are bit for bit those of the threads.

Helpers are there on Linux (memfd). They start beside the first steps, which take threads meanwhile;
where one dies, its shard is computed here. They end with `close`, and when this process does.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from ...config import GPT2Config
from ...fast.ops import FAST
from ...layers.contract import Array
from ...machine import threads
from ...machine.malloc import keep_freed_memory
from .row_random import RowRandom
from .shard import Shard, shard_gradients

_PROGRAM = f"import sys; from {__name__} import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
# arrays begin with a cache line
_LINE = 64


class _Layout(NamedTuple):
    """Where every array of a set of parameters lies in a piece of memory."""

    places: dict[str, tuple[tuple[int, ...], str, int]]
    size: int

    def arrays(self, memory: mmap.mmap, piece: int) -> dict[str, Array]:
        return {
            name: np.ndarray(shape, dtype, memory, piece * self.size + offset)
            for name, (shape, dtype, offset) in self.places.items()
        }


class Helpers:
    """`count` helper processes for `loss_and_grads`; none where the system cannot have them."""

    def __init__(self, count: int) -> None:
        can = hasattr(os, "memfd_create") and bool(sys.executable)
        self.count = count if can else 0
        """How many there are, or will be; 0 where there can be none."""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._layout: _Layout | None = None
        self._params: dict[str, Array] = {}
        self._grads: list[dict[str, Array]] = []

    def ready(self, count: int, params: Mapping[str, Array], rng: Any = None) -> bool:
        """Whether `count` helpers can take a shard of these parameters' step now.

        Starts them if they are not there yet. `rng` is None or a RowRandom: no other can be sent.
        """
        if count != self.count or self.count == 0 or not isinstance(rng, (RowRandom, type(None))):
            return False
        layout = _layout(params)
        if layout != self._layout:
            self.close()
            self._start(layout)
        # a helper says one line when it is there; a dead one's pipe can be read too, and is empty
        while len(self._grads) < self.count:
            process = self._processes[len(self._grads)]
            assert process.stdout is not None
            if not select.select([process.stdout], [], [], 0)[0]:
                return False
            if not process.stdout.readline():
                self._give_up()
                return False
            self._grads.append(layout.arrays(self._memory, 1 + len(self._grads)))
        return True

    def gradients(
        self, params: Mapping[str, Array], shards: Sequence[Shard]
    ) -> list[tuple[float, dict[str, Array]]]:
        """`shard_gradients` of every shard: the first here, the others on the helpers.

        The arrays of all but the first are overwritten by the next call. An error of a helper is
        raised here, as ValueError.
        """
        try:
            for name, array in params.items():
                self._params[name][...] = array
            asked = [_said(process.stdin, _written(shard))
                     for process, shard in zip(self._processes, shards[1:])]
            results, whole = [_here(params, shards[0])], True
            for process, shard, grads, was_asked in zip(
                self._processes, shards[1:], self._grads, asked
            ):
                answer = _heard(process.stdout) if was_asked else None
                if isinstance(answer, str):
                    raise ValueError(answer)
                # one that is gone is not asked again: what follows is left to threads
                results.append(_here(params, shard) if answer is None else (answer, grads))
                whole &= answer is not None
        except BaseException:
            # an answer to this step must not be taken for the next one's
            self.close()
            raise
        if not whole:
            self._give_up()
        return results

    def close(self) -> None:
        """End the helpers; the next `ready` would start new ones."""
        for process in self._processes:
            process.kill()
            process.communicate()
        self._processes, self._grads, self._params, self._layout = [], [], {}, None

    def _give_up(self) -> None:
        self.close()
        self.count = 0

    def _start(self, layout: _Layout) -> None:
        pieces = 1 + self.count
        file = os.memfd_create("npgpt")
        try:
            os.ftruncate(file, layout.size * pieces)
            self._memory = mmap.mmap(file, layout.size * pieces)
            home = str(Path(__file__).parents[3])
            path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
            environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
            for piece in range(1, pieces):
                process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _PROGRAM, str(file), str(piece)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[file],
                    env=environment,
                )
                self._processes.append(process)
                _said(process.stdin, layout.places)
        except OSError:
            self._give_up()
            return
        finally:
            os.close(file)
        self._layout = layout
        self._params = layout.arrays(self._memory, 0)

    def __enter__(self) -> Helpers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _layout(params: Mapping[str, Array]) -> _Layout:
    return _layout_of({name: [a.shape, a.dtype.str] for name, a in params.items()})


def _layout_of(described: Mapping[str, Any]) -> _Layout:
    places, offset = {}, 0
    for name, (shape, dtype, *_) in described.items():
        places[name] = (tuple(shape), dtype, offset)
        size = np.dtype(dtype).itemsize * math.prod(shape)
        offset += -(-size // _LINE) * _LINE
    # pieces begin with a page
    return _Layout(places, max(1, -(-offset // mmap.PAGESIZE)) * mmap.PAGESIZE)


def _here(params: Mapping[str, Array], shard: Shard) -> tuple[float, dict[str, Array]]:
    with threads.using(1):
        return shard_gradients(params, shard, FAST)


def _said(pipe: Any, message: Any) -> bool:
    """Write a message as a line; False if nobody is there to read it."""
    try:
        pipe.write(json.dumps(message).encode() + b"\n")
        pipe.flush()
    except BrokenPipeError:
        return False
    return True


def _heard(pipe: Any) -> Any:
    """Read a message; None if the other side is gone."""
    line = pipe.readline()
    return json.loads(line) if line.endswith(b"\n") else None


def _written(shard: Shard) -> dict[str, Any]:
    return {
        **shard._asdict(), "ids": shard.ids.tolist(), "targets": shard.targets.tolist(),
        "config": shard.config.to_dict(), "errors": np.geterr(),
        "rng": shard.rng.state() if isinstance(shard.rng, RowRandom) else None,
    }


def _read(message: dict[str, Any]) -> Shard:
    ids, targets = (np.asarray(message[name], np.int64) for name in ("ids", "targets"))
    rng = None if message["rng"] is None else RowRandom.from_state(message["rng"])
    config = GPT2Config.from_dict(message["config"])
    return Shard(ids, targets, config, rng, message["weight"], message["recompute"])


def serve(file: int, piece: int) -> None:
    """What a helper does: read shards from standard input until it ends, answer each."""
    # Ctrl-C is said to the whole group: our parent decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    # nothing that is printed may get among the answers
    os.dup2(2, 1)
    layout = _layout_of(_heard(sys.stdin.buffer))
    memory = mmap.mmap(file, 0)
    params, ours = layout.arrays(memory, 0), layout.arrays(memory, piece)
    keep_freed_memory()
    answers.write(b"ready\n")
    answers.flush()
    with threads.using(1), threads.one_blas_thread():
        while (message := _heard(sys.stdin.buffer)) is not None:
            try:
                with np.errstate(**message["errors"]):
                    answer: Any = _compute(params, _read(message), ours)
            except Exception as error:
                answer = str(error) if isinstance(error, ValueError) else repr(error)
            if not _said(answers, answer):
                return


def _compute(params: Mapping[str, Array], shard: Shard, into: Mapping[str, Array]) -> float:
    loss, grads = shard_gradients(params, shard, FAST)
    for name, grad in grads.items():
        into[name][...] = grad
    return loss
