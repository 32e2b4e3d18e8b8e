"""A contest: contestants in processes of their own take turns, so that all see the same noise."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from .suite import PEERS, Contestant, Row

ROOT = Path(__file__).parent.parent


class Worker:
    """One contestant's process (benchmarks.worker), prepared and waiting."""

    def __init__(self, name: str, contestant: Contestant, peers_python: str | None) -> None:
        self.name = name
        side, job = contestant
        python = peers_python if _needs_peers(contestant) else job.get("python", sys.executable)
        job = {key: value for key, value in job.items() if key != "python"}
        # threads are each contestant's own business; npgpt must be found beside the peers too
        environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        paths = [str(ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        self.process = subprocess.Popen(
            [str(python), "-m", "benchmarks.worker", side, json.dumps(job)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        try:
            self._read()
        except RuntimeError:
            self.close()
            raise

    def run(self) -> dict[str, Any]:
        """One repetition: {"seconds": ..., "extra": ...}."""
        self._write("run")
        return self._read()

    def quit(self) -> int:
        """End the process and return its peak memory in bytes."""
        self._write("quit")
        peak: int = self._read()["peak_bytes"]
        self.process.wait()
        return peak

    def _write(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with code {self.process.wait()}; see above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            self.process.wait()
            # some libraries' messages are pages long
            raise RuntimeError(f"{self.name}: {answer['error'].strip().splitlines()[0]:.300}")
        return answer

    def close(self) -> None:
        """End the process, whatever it is doing."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            # at the end of its input it ends by itself and removes its files
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def peers_python(given: str | None) -> str | None:
    """The Python that has the peers: the given one, or this one if it has torch; else None."""
    if given is None and importlib.util.find_spec("torch") is not None:
        return sys.executable
    if given is None:
        print("without PyTorch and transformers: the extra `bench` installs them")
    return given


def hold(
    row: Row, pairs: int, peers_python: str | None, without: tuple[str, ...],
    beside: AbstractContextManager[None] = nullcontext(),
) -> dict[str, Any]:
    """Measure one row: seconds of every repetition, medians, ratios to npgpt, peak memory.

    `beside` is entered once all are prepared, while they take turns. Raises RuntimeError, naming
    the contestant, if npgpt or its rival fails.
    """
    chosen = {
        name: contestant for name, contestant in row.contestants.items()
        if name not in without and (peers_python or not _needs_peers(contestant))
    }
    workers: list[Worker] = []
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    peaks: dict[str, int] = {}
    left_out: dict[str, str] = {}
    first = next(iter(chosen))
    try:
        for name, contestant in chosen.items():
            try:
                workers.append(Worker(name, contestant, peers_python))
            except RuntimeError as error:
                # any other column may be missing; without npgpt or its rival there is no row
                if name in (first, row.rival):
                    raise
                left_out[name] = str(error)
        for name in left_out:
            del chosen[name], runs[name]
        with beside:
            for pair in range(pairs):
                # forwards, then backwards: whoever comes first has no advantage
                for worker in workers if pair % 2 == 0 else workers[::-1]:
                    runs[worker.name].append(worker.run())
        for worker in workers:
            own = [e["peak_bytes"] for e in _extras(runs[worker.name]) if "peak_bytes" in e]
            peaks[worker.name] = max(own, default=0) or worker.quit()
    finally:
        for worker in workers:
            worker.close()
    columns = {}
    ours = [_per_unit(run) for run in runs[first]]
    for name in chosen:
        seconds = [_per_unit(run) for run in runs[name]]
        columns[name] = column = {
            "seconds": seconds,
            "median": statistics.median(seconds),
            "npgpt_ratio": statistics.median(a / b for a, b in zip(ours, seconds)),
            "peak_bytes": peaks[name],
        }
        extras = _extras(runs[name])
        if row.name == "ops":
            column["ops"] = _op_medians(extras)
        elif row.name == "limits":
            column["limits"] = {
                name: statistics.median(extra[name] for extra in extras) for name in extras[0]
            }
        elif extras and "val_loss" in extras[0]:
            column["val_loss"] = statistics.median(extra["val_loss"] for extra in extras)
        elif extras and "version" in extras[0]:
            column["version"] = extras[0]["version"]
    return {"name": row.name, "label": row.label, "rival": row.rival,
            "pairs": pairs, "columns": columns, "left_out": left_out}


def _needs_peers(contestant: Contestant) -> bool:
    side, job = contestant
    return side in PEERS or (side == "fresh" and job["package"] != "npgpt")


def _extras(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [run["extra"] for run in runs if isinstance(run["extra"], dict)]


def _per_unit(run: dict[str, Any]) -> float:
    # a repetition may be several units of work, such as tokens, and may have timed itself
    [extra] = _extras([run]) or [{}]
    return float(extra.get("seconds", run["seconds"])) / extra.get("per", 1)


def _op_medians(extras: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {
        op: [statistics.median(extra[op][i] for extra in extras) for i in (0, 1)]
        for op in extras[0]
    }
