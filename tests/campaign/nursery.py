"""Commands that are hit by a signal or an error at a chosen moment, each in a process of its own.

    with Nursery() as nursery:
        ended = nursery.run(["train", ...], folder, Plan(at=12, do="SIGKILL"))

Moments are counted in events, not in seconds: each opening, renaming, making and removing of a file
or folder below the command's own folder, and each fsync. So a case is the same on every machine. A
process that has imported npgpt forks one child a command, which takes a few hundredths of a second.
"""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# audited events, and which of their arguments are paths; os.replace is audited as os.rename
EVENTS = {
    "open": 1, "os.rename": 2, "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.truncate": 1,
    "os.scandir": 1, "os.listdir": 1, "os.chmod": 1, "os.symlink": 2, "os.link": 2,
}


@dataclass(frozen=True)
class Plan:
    """What happens at which event: a signal by its name, or an error of the operating system's."""

    at: int = 0
    """The number of the event, from 1; 0 for none."""
    do: str = ""
    match: str = ""
    """Only events are counted that have this in the path."""
    strace: str = ""
    """What strace injects, such as write:error=ENOSPC:when=3; "trace" for nothing."""


@dataclass(frozen=True)
class Ended:
    """How a command ended; `code` is negative for a signal, and `events` what was counted."""

    code: int
    out: str
    err: str
    events: list[str]
    """Each event as NAME PATH; empty if the child was killed."""
    calls: list[str]
    """With strace, each system call as strace writes it."""


class Nursery:
    """A process that forks commands."""

    def __enter__(self) -> Nursery:
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.nursery"], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def run(self, arguments: list[str], folder: Path, plan: Plan = Plan()) -> Ended:
        """`npgpt ARGUMENTS` in that folder."""
        assert self.process.stdin is not None and self.process.stdout is not None
        order = {"arguments": arguments, "folder": str(folder), "plan": asdict(plan)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))


class Watch:
    """Counts the events of this process, and lets happen what the plan says."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = str(folder), plan
        self.seen: list[str] = []
        self.fsync, self.on = os.fsync, True

    def install(self) -> None:
        """From now on."""
        sys.addaudithook(self.audit)
        os.fsync = self.audited_fsync

    def audited_fsync(self, fd: Any) -> None:
        """os.fsync, which Python does not audit."""
        number = fd if isinstance(fd, int) else fd.fileno()
        self.event("fsync", os.readlink(f"/proc/self/fd/{number}"))
        self.fsync(fd)

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        """What Python calls for every audited event."""
        count = EVENTS.get(name)
        if count is None or not self.on:
            return
        for path in arguments[:count]:
            if isinstance(path, (str, bytes, os.PathLike)):
                found = os.path.abspath(os.fsdecode(path))
                if found.startswith(self.folder):
                    self.event(name, found)
                    return

    def event(self, name: str, path: str) -> None:
        """One event of ours."""
        words = f"{name} {os.path.relpath(path, self.folder)}"
        if self.plan.match not in words:
            return
        self.seen.append(words)
        if len(self.seen) != self.plan.at:
            return
        if self.plan.do.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.plan.do))
        elif self.plan.do:
            code = getattr(errno, self.plan.do)
            raise OSError(code, os.strerror(code), path)


def _end_with_parent() -> None:
    """Have this process killed when its parent ends, where the system can do that."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(1, signal.SIGKILL)


def serve() -> None:
    """Fork a child for each line of stdin, and answer how it ended."""
    from npgpt import cli

    _end_with_parent()
    _warm_up(cli)
    for line in sys.stdin:
        order = json.loads(line)
        folder = Path(order["folder"])
        notes = folder.with_name(folder.name + ".ended")
        notes.mkdir(exist_ok=True)
        child = os.fork()
        if child == 0:
            _be_a_command(cli, order, folder, notes)
        calls = _traced(child, folder, order["plan"]["strace"]) if order["plan"]["strace"] else []
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        out, err = ((notes / name).read_text(errors="replace") for name in ("out", "err"))
        seen = notes / "events"
        events = json.loads(seen.read_text()) if seen.exists() else []
        seen.unlink(missing_ok=True)
        print(json.dumps({"code": code, "out": out, "err": err, "events": events, "calls": calls}),
              flush=True)


def _warm_up(cli: Any) -> None:
    """Train a little and throw it away: what is imported late is imported once, here."""
    from .runs import arguments, fresh

    os.environ.pop("NPGPT_TRACEBACK", None)
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        os.environ["NPGPT_CACHE"] = scratch
        os.chdir(fresh(Path(scratch), "warm"))
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            cli.main(arguments())
            cli.main(["eval", "run", "--threads", "1"])
            cli.main(["convert", "run", "hf"])
        os.chdir("/")


def _traced(child: int, folder: Path, inject: str) -> list[str]:
    """Let a child that has stopped itself go on under strace; what it calls, line by line."""
    os.waitpid(child, os.WUNTRACED)
    given = [] if inject == "trace" else ["-e", f"inject={inject}"]
    strace = subprocess.Popen(["strace", "-y", "-s", "200", "-e", "trace=all", *given,
                               "-p", str(child)], text=True, errors="replace",
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert strace.stderr is not None
    first = strace.stderr.readline()            # "strace: Process N attached", or why not
    os.kill(child, signal.SIGCONT)
    lines = [line.rstrip("\n") for line in strace.stderr]
    strace.wait()
    if "attached" not in first:
        raise RuntimeError(first)
    return lines


def _be_a_command(cli: Any, order: dict[str, Any], folder: Path, notes: Path) -> None:
    """In the child: run the command line and end the process."""
    code = 70
    try:
        _end_with_parent()
        os.chdir(folder)
        os.environ["NPGPT_CACHE"] = str(folder / "cache")
        for number, name, mode in ((0, os.devnull, os.O_RDONLY),
                                   (1, notes / "out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                                   (2, notes / "err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
            os.dup2(os.open(name, mode, 0o600), number)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        watch = Watch(folder, Plan(**order["plan"]))
        if order["plan"]["strace"]:
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            watch.install()
        try:
            code = cli.main(order["arguments"])
        finally:
            watch.on = False
            if not order["plan"]["strace"]:     # else it might be this call that fails
                (notes / "events").write_text(json.dumps(watch.seen))
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
