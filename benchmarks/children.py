"""Programs as child processes: what they print, how long they took and their own peak memory."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    """A child that has ended."""

    out: str
    seconds: float
    peak_bytes: int


def run_child(arguments: list[str], folder: Path | None = None) -> Ended:
    """Run a program to its end; RuntimeError with its last line on stderr if it fails."""
    # files, not pipes: only wait4 reports one child's memory, and a full pipe would block the child
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as stderr_file:
        started = time.perf_counter()
        try:
            child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=stderr_file, cwd=folder)
        except OSError as error:
            raise RuntimeError(f"{arguments[0]} cannot be started: {error.strerror}") from error
        peak = wait(child)
        seconds = time.perf_counter() - started
        out.seek(0)
        if child.returncode:
            stderr_file.seek(0)
            last = (stderr_file.read().strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"{Path(arguments[0]).name} ended with {child.returncode}: {last}")
        return Ended(out.read(), seconds, peak)


def run_python(*arguments: str) -> Ended:
    """The same, by the Python that is running."""
    return run_child([sys.executable, *arguments])


def scratch_folder() -> Path:
    """A new empty folder, removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="npgpt-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def helpers_peak() -> int:
    """Peak memory of the living children, summed, in bytes; 0 without /proc.

    Memory shared with this process is counted again: the sum is too high rather than too low.
    """
    total = 0
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in path.read_text(encoding="utf-8").split():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                peak = re.search(r"VmHWM:\s+(\d+) kB", status)
                total += int(peak[1]) * 1024 if peak else 0
    return total


def wait(child: subprocess.Popen[str]) -> int:
    """Wait for a child to end; its peak memory in bytes."""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
