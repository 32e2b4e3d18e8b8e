"""One process of a job, prepared and waiting: a rank, or the one process that ranks compete with.

    python -m benchmarks.scaling.rank SOCKET '{"size": "recipe", "batch": 12, ...}'

Every process of a job connects to the socket and does what it is sent, in JSON lines. Who waits
takes no processor time, unlike a rank that waits for another within MPI.
"""

from __future__ import annotations

import benchmarks.tuned  # noqa: F401  isort: skip  before NumPy

import json
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import numpy as np

from npgpt.arrays import Array
from npgpt.config import GPT2Config
from npgpt.machine.ranks import Ranks, connect
from npgpt.machine.threads import set_default
from npgpt.params import init_params
from npgpt.text import CharTokenizer
from npgpt.training import update
from npgpt.training.loop import workers_for
from npgpt.training.settings import resolve
from npgpt.training.state import TrainingState
from npgpt.training.step.adamw import zero_moments
from npgpt.training.team import Team

from ..children import helpers_peak
from ..sizes import SIZES

# of a host's only network card, see hosts.py
SENT = Path("/sys/class/net/veth0/statistics/tx_bytes")


def main() -> None:
    """Prepare, then do what is asked for."""
    path, job = sys.argv[1], json.loads(sys.argv[2])
    ranks = connect() if job["ranks"] else None
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(path)
    file = channel.makefile("rw", encoding="utf-8")
    with ExitStack() as stack:
        answers = answering(job, ranks, stack)
        _send(file, {"rank": ranks.rank if ranks else 0})
        for line in file:
            name, *arguments = json.loads(line)
            if name == "end":
                break
            _send(file, answers[name](*arguments))
    if ranks:
        ranks.close()


def _send(file: Any, answer: object) -> None:
    file.write(json.dumps(answer) + "\n")
    file.flush()


def answering(
    job: dict[str, Any], ranks: Ranks | None, stack: ExitStack
) -> dict[str, Callable[..., object]]:
    """What can be asked of a process."""
    set_default(job["threads"])
    if job["size"] is None:
        assert ranks is not None
        return {"collective": lambda *what: collective(ranks, *what)}
    # BLAS takes its own working memory at its first large matmul
    np.dot(*np.ones((2, 1000, 1000), np.float32))
    before = memory_of("VmRSS")
    state = new_state(job["size"], job["batch"], job["threads"], ranks, job["overlap"])
    tokens = np.random.default_rng(0).integers(
        0, state.config.vocab_size, 20_000).astype(np.uint16)
    workers = stack.enter_context(workers_for(state))
    phases = Phases(state)

    def steps(count: int) -> dict[str, Any]:
        phases.clear()
        sent, started = sent_bytes(), time.perf_counter()
        for _ in range(count):
            if ranks and ranks.rank:
                ranks.broadcast()
            update.train_step(state, tokens, None, workers)
        seconds = (time.perf_counter() - started) / count
        return {"seconds": seconds, "sent": (sent_bytes() - sent) / count,
                "phases": {name: spent / count for name, spent in phases.items()}}

    def exchange(count: int) -> dict[str, float]:
        """Reduce-scatter and gather of a whole step, alone."""
        assert state.team is not None and ranks is not None
        grads = {name: np.zeros_like(array) for name, array in state.trained.items()}
        return {"reduce_scatter": timed(ranks, lambda: state.team.sum_gradients(grads), count),
                "gather": timed(ranks, state.team.share_parameters, count)}

    def memory() -> dict[str, int]:
        moments = sum(array.nbytes for kind in (state.mean, state.square)
                      for array in kind.values())
        return {"before": before, "peak": memory_of("VmHWM") + helpers_peak(),
                "moments": moments}

    return {"steps": steps, "exchange": exchange, "memory": memory}


class Phases(dict[str, float]):
    """Seconds that the parts of a step have taken; it makes them note their time here."""

    def __init__(self, state: TrainingState) -> None:
        self._note(update, "batch_gradients", "gradients")
        self._note(update, "adamw_step", "adamw")
        if state.team:
            self._note(state.team, "sum_gradients", "reduce_scatter")
            self._note(state.team, "share_parameters", "gather")

    def _note(self, owner: Any, name: str, phase: str) -> None:
        function = getattr(owner, name)

        def noted(*arguments: Any, **settings: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **settings)
            finally:
                self[phase] = self.get(phase, 0.0) + time.perf_counter() - started

        setattr(owner, name, noted)


def new_state(size: str, batch: int, threads: int, ranks: Ranks | None,
              overlap: bool = False) -> TrainingState:
    """A state of random weights that trains with batches of so many sequences."""
    values, _, length = SIZES[size]
    config = GPT2Config.from_dict(values)
    flags = {name: getattr(config, name) for name in
             ("n_layer", "n_head", "n_embd", "n_positions", "vocab_size")}
    del flags["vocab_size"]
    run = resolve("gpt2", flags={
        **flags, "batch_size": batch, "sequence_length": length, "grad_accumulation": 1,
        "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "threads": threads,
        "max_steps": 100_000})
    config = run.model_config(config.vocab_size)
    params = init_params(config)
    if ranks is None:
        moments = zero_moments(params), zero_moments(params)
        return TrainingState(0, config, params, *moments, run, CharTokenizer("a"), "")
    team = Team(ranks, params, list(params), overlap)
    state = TrainingState(0, config, params, team.zeros(), team.zeros(), run, CharTokenizer("a"),
                          "")
    state.team = team
    return state


def collective(ranks: Ranks, kind: str, nbytes: int, count: int) -> float:
    """Seconds of one reduce-scatter or gather of a flat float32 buffer, as training does them."""
    flat = np.ones(ranks.length(nbytes // 4), np.float32)
    mine = ranks.part(flat).copy()

    def read(start: int, stop: int, out: Array) -> None:
        out[...] = flat[start:stop]

    if kind == "gather":
        return timed(ranks, lambda: ranks.gather(flat), count)
    return timed(ranks, lambda: ranks.reduce_scatter(read, mine), count)


def timed(ranks: Ranks, work: Callable[[], object], count: int) -> float:
    """Seconds of one of `count` times that all ranks do something together."""
    work()
    ranks.barrier()
    started = time.perf_counter()
    for _ in range(count):
        work()
    ranks.barrier()
    return (time.perf_counter() - started) / count


def memory_of(name: str) -> int:
    """This process's memory in bytes: VmRSS now, VmHWM at most so far."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    [found] = (line for line in status.splitlines() if line.startswith(name))
    return int(found.split()[1]) * 1024


def sent_bytes() -> int:
    """Bytes that this host's network card has sent, 0 without one."""
    return int(SENT.read_text(encoding="utf-8")) if SENT.exists() else 0


if __name__ == "__main__":
    main()
