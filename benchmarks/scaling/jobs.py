"""Jobs that take turns: each some processes that are prepared and wait, see `rank`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Sequence

from ..children import scratch_folder
from ..contest import ROOT

# until all processes of a job are prepared; it includes 124M's initialisation
PATIENCE_SECONDS = 180.0
_count = 0


class Job:
    """Some ranks, or one process if `ranks` is 0; `hosts` are the commands that enter each host.

    `overlap`: gradients are summed while backward runs, as between machines.
    """

    def __init__(self, size: str | None, batch: int, threads: int, ranks: int,
                 hosts: Sequence[Sequence[str]] = (), environment: dict[str, str] = {},
                 overlap: bool = False) -> None:
        global _count
        _count += 1
        path = scratch_folder() / f"job{_count}"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(max(1, ranks))
        listening.settimeout(PATIENCE_SECONDS)
        job = json.dumps({"size": size, "batch": batch, "threads": threads, "ranks": ranks,
                          "overlap": overlap})
        worker = [sys.executable, "-m", "benchmarks.scaling.rank", str(path), job]
        command = worker if ranks == 0 else [mpiexec(), "-n", str(ranks), *worker]
        for n, host in enumerate(hosts):
            more = ["-n", "1", *host, *worker]
            command = [*command, ":", *more] if n else [mpiexec(), *more]
        # threads are each job's own business
        plain = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL,
                                         env={**plain, **environment})
        self._files: list[Any] = []
        try:
            for _ in range(max(1, ranks)):
                connection, _ = listening.accept()
                with connection:
                    self._files.append(connection.makefile("rw", encoding="utf-8"))
            by_rank = {_receive(file)["rank"]: file for file in self._files}
            self._files = [by_rank[rank] for rank in sorted(by_rank)]
        except (OSError, RuntimeError):
            self.close()
            raise RuntimeError(f"{' '.join(command[:8])} ... did not start") from None
        finally:
            listening.close()

    def ask(self, *what: object) -> list[Any]:
        """What every process answers, by rank."""
        for file in self._files:
            file.write(json.dumps(what) + "\n")
            file.flush()
        return [_receive(file) for file in self._files]

    def close(self) -> None:
        """End the job."""
        for file in self._files:
            try:
                file.write('["end"]\n')
                file.close()
            except OSError:
                pass
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()


def mpiexec() -> str:
    """The mpiexec beside this Python, or the first on the path; RuntimeError without one."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise RuntimeError("there is no mpiexec: python -m pip install 'npgpt[mpi]'")
    return found


def _receive(file: Any) -> Any:
    line = file.readline()
    if not line:
        raise RuntimeError("a process of the job ended; see above")
    return json.loads(line)


def take_turns(jobs: dict[str, Job], rounds: int, steps: int) -> dict[str, dict[str, Any]]:
    """Medians over rounds in which every job does so many steps, forwards and then backwards."""
    seen: dict[str, list[list[Any]]] = {name: [] for name in jobs}
    for job in jobs.values():
        # the first steps do not count: page faults, caches
        job.ask("steps", 2)
    for turn in range(rounds):
        for name in list(jobs) if turn % 2 == 0 else list(jobs)[::-1]:
            seen[name].append(jobs[name].ask("steps", steps))
    return {name: {
        "seconds": [answers[0]["seconds"] for answers in found],
        "median": statistics.median(answers[0]["seconds"] for answers in found),
        # the slowest rank computes for longest, and waits least for the others
        "phases": {phase: statistics.median(
            (max if phase in ("gradients", "adamw") else min)(
                answer["phases"][phase] for answer in answers) for answers in found)
            for phase in found[0][0]["phases"]},
        "sent": statistics.median(max(a["sent"] for a in answers) for answers in found),
        "memory": jobs[name].ask("memory"),
    } for name, found in seen.items()}
