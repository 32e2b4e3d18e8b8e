"""A contest: contestants in processes of their own take turns, so that all meet the same noise."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from .suite import PEERS, Contestant, Row

ROOT = Path(__file__).parent.parent


class Worker:
    """One contestant's process (benchmarks.worker), prepared and waiting."""

    def __init__(self, name: str, contestant: Contestant, peers_python: str | None) -> None:
        self.name = name
        side, job = contestant
        python = peers_python if _needs_peers(contestant) else sys.executable
        # threads are each contestant's own business; npgpt must be found beside the peers too
        environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        paths = [str(ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        self.process = subprocess.Popen(
            [str(python), "-m", "benchmarks.worker", side, json.dumps(job)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        self._read()

    def run(self) -> dict[str, Any]:
        """One repetition: {"seconds": ..., "extra": ...}."""
        self._write("run")
        return self._read()

    def quit(self) -> int:
        """End the process; its peak memory in bytes."""
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
        return answer


def hold(
    row: Row, pairs: int, peers_python: str | None, without: tuple[str, ...]
) -> dict[str, Any]:
    """Measure one row: seconds of every repetition, medians, ratios to npgpt, peak memory."""
    chosen = {
        name: contestant for name, contestant in row.contestants.items()
        if name not in without and (peers_python or not _needs_peers(contestant))
    }
    workers = [Worker(name, contestant, peers_python) for name, contestant in chosen.items()]
    runs: dict[str, list[dict[str, Any]]] = {worker.name: [] for worker in workers}
    for pair in range(pairs):
        # forwards, then backwards: whoever comes first has no advantage
        for worker in workers if pair % 2 == 0 else workers[::-1]:
            runs[worker.name].append(worker.run())
    columns = {}
    first = next(iter(chosen))
    for worker in workers:
        seconds = [_per_unit(run) for run in runs[worker.name]]
        ratios = [_per_unit(a) / b for a, b in zip(runs[first], seconds)]
        columns[worker.name] = {
            "seconds": seconds,
            "median": statistics.median(seconds),
            "npgpt_ratio": statistics.median(ratios),
            "peak_bytes": worker.quit(),
        }
        if row.name == "ops":
            columns[worker.name]["ops"] = _op_medians(runs[worker.name])
    return {"name": row.name, "label": row.label, "rival": row.rival, "bar": row.bar,
            "pairs": pairs, "columns": columns}


def _needs_peers(contestant: Contestant) -> bool:
    side, job = contestant
    return side in PEERS or (side == "fresh" and job["package"] != "npgpt")


def _per_unit(run: dict[str, Any]) -> float:
    # a repetition may be several units of work, such as tokens
    per = run["extra"]["per"] if isinstance(run["extra"], dict) and "per" in run["extra"] else 1
    return float(run["seconds"]) / per


def _op_medians(runs: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {
        op: [statistics.median(run["extra"][op][i] for run in runs) for i in (0, 1)]
        for op in runs[0]["extra"]
    }
