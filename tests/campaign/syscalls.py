"""Errors of the operating system: each call on npgpt's files fails, one a run, as SQLite tests it.

Two ways: at each event that Python audits (needs nothing), and with strace at each system call,
those of the safetensors library too. After each failure: one line or success, no half-written file
under a final name, no lost checkpoint; and what is done again ends as if nothing had happened.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from npgpt.files import PARTIAL
from npgpt.params import Params
from npgpt.training.checkpoint import checkpoints
from npgpt.weights import load

from .kills import moments
from .nursery import Ended, Nursery, Plan
from .outcome import Outcome, fault_of_command
from .runs import (
    RESUME,
    Reference,
    fault_at_rest,
    fault_at_the_end,
    fault_of_resuming,
    fresh,
    reference,
)

SHORT = {"max_steps": 2, "eval_every": 2, "sample_every": 2}
# the errors that a call can have; any other has EIO
ERRORS = {
    "write": ("ENOSPC", "EIO", "EINTR"), "pwrite64": ("ENOSPC", "EIO"), "mkdir": ("ENOSPC", "EIO"),
    "openat": ("ENOSPC", "EMFILE", "EIO", "EINTR"), "fsync": ("EIO", "ENOSPC", "EINTR"),
    "ftruncate": ("ENOSPC", "EIO", "EINTR"), "read": ("EIO", "EINTR"), "mmap": ("ENOMEM",),
    "flock": ("ENOLCK", "EIO", "EINTR"), "rename": ("ENOSPC", "EIO"), "renameat": ("EIO",),
    "newfstatat": ("EIO", "EACCES"), "unlinkat": ("EIO", "EBUSY"), "chmod": ("EPERM",),
}
# what has no error that a program can do something about, or is not of the files
NOT_TRIED = {"getcwd", "lseek", "ioctl", "munmap", "dup", "execve", "chdir"}
PYTHONS_ERRORS = ("ENOSPC", "EIO")


@dataclass(frozen=True)
class Job:
    """A command, a folder to run it in, and what is wrong with the folder afterwards."""

    name: str
    arguments: list[str]
    prepare: Callable[[], Path]
    fault: Callable[[Ended, Path], str]


def run(count: int, scratch: Path) -> Iterator[Outcome]:
    """`count` moments of each command, spread evenly, at most every one; each with every error."""
    with Nursery() as nursery:
        for job in jobs(nursery, scratch):
            yield from _by_python(nursery, job, count)
            if traced_here():
                yield from _by_strace(nursery, job, count)


def jobs(nursery: Nursery, scratch: Path) -> Iterator[Job]:
    """The commands that read and write."""
    expected = reference(nursery, scratch, **SHORT)
    half = fresh(scratch, "half")
    nursery.run(expected.arguments, half, Plan(1, "SIGINT", "mkdir run/checkpoints/.partial"))
    if not checkpoints(half / "run"):
        raise RuntimeError("the run to be resumed has no checkpoint")
    ready = fresh(scratch, "ready")
    nursery.run(expected.arguments, ready)
    nursery.run(["convert", str(checkpoints(ready / "run")[0]), "hf"], ready)

    def copy_of(original: Path) -> Callable[[], Path]:
        def prepare() -> Path:
            place = scratch / "job"
            shutil.rmtree(place, ignore_errors=True)
            return Path(shutil.copytree(original, place))
        return prepare

    yield Job("npgpt train", expected.arguments, lambda: fresh(scratch, "job"),
              lambda ended, folder: _fault_of_run(nursery, ended, folder, expected))
    yield Job("npgpt train --resume", RESUME, copy_of(half),
              lambda ended, folder: _fault_of_run(nursery, ended, folder, expected))
    for words in (["generate", "run", "the ", "--max-new-tokens", "5", "--seed", "0"],
                  ["eval", "run"]):
        given = [*words, "--threads", "1"]
        right = nursery.run(given, copy_of(ready)())
        yield Job(f"npgpt {words[0]}", given, copy_of(ready), _same_words(right))
    old, new = load(ready / "hf")[1], load(checkpoints(ready / "run")[-1])[1]
    yield Job("npgpt convert", ["convert", "run", "hf"], copy_of(ready),
              lambda ended, folder: _fault_of_conversion(ended, folder, old, new))


def _fault_of_run(nursery: Nursery, ended: Ended, folder: Path, expected: Reference) -> str:
    if ended.code == 0:
        return fault_at_the_end(folder / "run", expected, clean=False)
    return fault_at_rest(folder / "run", expected) or fault_of_resuming(nursery, folder, expected)


def _same_words(right: Ended) -> Callable[[Ended, Path], str]:
    def fault(ended: Ended, folder: Path) -> str:
        return "" if ended.code or ended.out == right.out else "it prints something else"
    return fault


def _fault_of_conversion(ended: Ended, folder: Path, old: Params, new: Params) -> str:
    try:
        found = load(folder / "hf")[1]
    except Exception as error:
        return f"half a model under its final name ({type(error).__name__})"
    if _equal(found, new):
        return _left(folder)
    if ended.code == 0 or not _equal(found, old):
        return "a model that is neither the old nor the new one"
    return _left(folder)


def _equal(one: Params, other: Params) -> bool:
    return all(one[name].tobytes() == array.tobytes() for name, array in other.items())


def _left(folder: Path) -> str:
    return "a partial file is left behind" if [*folder.rglob(f"{PARTIAL}*")] else ""


def _by_python(nursery: Nursery, job: Job, count: int) -> Iterator[Outcome]:
    events = nursery.run(job.arguments, job.prepare()).events
    for at in moments(len(events), count):
        for error in PYTHONS_ERRORS:
            folder = job.prepare()
            ended = nursery.run(job.arguments, folder, Plan(at, error))
            yield Outcome(f"{job.name}, an error at an audited event",
                          f"{error} at event {at}, {events[at - 1]}", _fault(job, ended, folder))


def _by_strace(nursery: Nursery, job: Job, count: int) -> Iterator[Outcome]:
    folder = job.prepare()
    calls = nursery.run(job.arguments, folder, Plan(strace="trace")).calls
    ours = numbered(calls, folder)
    for at in moments(len(ours), count):
        name, number, line = ours[at - 1]
        for error in ERRORS.get(name, ("EIO",)):
            folder = job.prepare()
            plan = Plan(strace=f"{name}:error={error}:when={number}")
            ended = nursery.run(job.arguments, folder, plan)
            # how many calls there are differs a little from run to run: it may have been another's
            if numbered([call for call in ended.calls if "(INJECTED)" in call], folder):
                yield Outcome(f"{job.name}, a failing system call",
                              f"{error} at call {number} of {name}, {line:.160}",
                              _fault(job, ended, folder))


def _fault(job: Job, ended: Ended, folder: Path) -> str:
    return (fault_of_command(ended.code, ended.err, (0, 2, 3))
            or job.fault(ended, folder))


def numbered(calls: list[str], folder: Path) -> list[tuple[str, int, str]]:
    """The calls on files of the folder: name, its number among those of the name, and the line."""
    counts: Counter[str] = Counter()
    found = []
    for line in calls:
        match = re.match(r"(\w+)\(", line)
        if match is None:
            continue
        counts[match[1]] += 1
        rest = re.sub(r"AT_FDCWD<[^>]*>", "", line)
        if match[1] not in NOT_TRIED and (f"{folder}/" in rest or f"{folder}>" in rest
                                          or re.search(r'\(,? ?"[^/"]', rest)):
            found.append((match[1], counts[match[1]], line.replace(str(folder), "")))
    return found


def traced_here() -> bool:
    """Whether strace is there and may look at a process that is not its child."""
    if shutil.which("strace") is None:
        return False
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        with subprocess.Popen(["strace", "-p", str(sleeper.pid)], text=True,
                              stderr=subprocess.PIPE) as strace:
            assert strace.stderr is not None
            first = strace.stderr.readline()
            sleeper.kill()
    return "attached" in first
