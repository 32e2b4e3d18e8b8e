"""Mutated files: each of a format's files is changed, read, and put back, many times a second.

A worker process does it, with its memory limited; this one waits, and a worker that does not answer
is ended: a hang.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import traceback
import warnings
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Iterator

from .formats import FORMATS, Fault, Format, checksum_formats, same
from .mutations import Mutation, mutation
from .outcome import Outcome, fault_of_error

# a case takes milliseconds: so much of the processor's time is a hang, and so long a sleep; a
# worker that a busy machine keeps waiting for the processor does neither
HANG_SECONDS, ASLEEP_SECONDS = 60.0, 5.0
ROOM = 3 * 2**29


def run(count: int, scratch: Path) -> Iterator[Outcome]:
    """`count` cases of every format, fewer of the slow ones."""
    names = [(format.name, format.slow) for format in _formats(scratch)]
    worker = None
    try:
        for name, few in names:
            for number in range(max(1, count // few)):
                worker = worker or _Worker(scratch)
                outcome, alive = worker.ask(name, number)
                yield outcome
                if not alive:
                    worker.end()
                    worker = None
    finally:
        if worker is not None:
            worker.end()


def _formats(scratch: Path) -> list[Format]:
    """FORMATS, and the files of checksums, which only a written checkpoint shows."""
    newest = _made(FORMATS[0].material, scratch)
    return FORMATS[:4] + checksum_formats(newest) + FORMATS[4:]


def again(name: str, number: int, scratch: Path) -> str:
    """One case once more, in this process: what was done, and the traceback if there is one."""
    format = next(format for format in _formats(scratch) if format.name == name)
    subject = Subject(format, Path(tempfile.mkdtemp(dir=scratch)))
    change = subject.change(number)
    try:
        value = format.read(subject.folder)
        answer = "read" if subject.kept(value) == subject.expected else "read as another content"
    except Exception:
        answer = traceback.format_exc()
    return f"{change.words}\n{answer}"


class _Worker:
    """A process that answers one case at a time."""

    def __init__(self, scratch: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=scratch))
        context = multiprocessing.get_context("spawn")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.folder))
        self.process.start()
        theirs.close()

    def ask(self, name: str, number: int) -> tuple[Outcome, bool]:
        """The outcome of one case, and whether the worker can be asked again."""
        self.ours.send((name, number))
        words = ""
        try:
            words = self._answer()
            return Outcome(name, words, self._answer()), True
        except EOFError:
            self.process.join()
            if not words:
                raise RuntimeError(f"{name}: cannot be read as it is") from None
            fault = f"the process ended with {self.process.exitcode}"
        except TimeoutError as error:
            fault = f"a hang: {error}"
        return Outcome(name, words, fault), False

    def _answer(self) -> str:
        """What the worker sends next; TimeoutError if it hangs."""
        began, asleep, used = _processor_time(self.process.pid), 0.0, 0.0
        while not self.ours.poll(1.0):
            now = _processor_time(self.process.pid) - began
            asleep = asleep + 1.0 if now == used and _sleeps(self.process.pid) else 0.0
            used = now
            if asleep >= ASLEEP_SECONDS:
                raise TimeoutError("it waits for what never comes")
            if used >= HANG_SECONDS:
                raise TimeoutError(f"no answer within {HANG_SECONDS:.0f} s of processor time")
        found: str = self.ours.recv()
        return found

    def end(self) -> None:
        """End the process, whatever it does, and remove its files."""
        self.process.kill()
        self.process.join()
        self.ours.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _stat(process: int | None) -> list[str]:
    """The fields of a process after its name: its state first."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _processor_time(process: int | None) -> float:
    """Seconds of the processor that a process has used."""
    fields = _stat(process)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _sleeps(process: int | None) -> bool:
    return _stat(process)[0] in "SD"


def _serve(connection: Connection, folder: Path) -> None:
    os.environ.update(NPGPT_CACHE=str(folder / "no cache"), HF_HOME=str(folder / "no home"))
    warnings.simplefilter("error")
    formats = {format.name: format for format in _formats(folder)}
    subject = None
    # what is written to; a file may be mapped, however large
    resource.setrlimit(resource.RLIMIT_DATA, (_used() + ROOM,) * 2)
    while True:
        try:
            name, number = connection.recv()
        except EOFError:
            return
        if subject is None or subject.format.name != name:
            subject = Subject(formats[name], Path(tempfile.mkdtemp(dir=folder)))
        change = subject.change(number)
        # a case can be done again by its number
        connection.send(f"{subject.path.relative_to(subject.folder)}: {change.words} "
                        f"(case {number})")
        connection.send(subject.fault())


def _used() -> int:
    """The address space of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


@cache
def _made(material: Callable[[Path], object], scratch: Path) -> Path:
    """A folder with the material, made once for all formats that are part of it."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    material(folder)
    return folder


class Subject:
    """A format in a folder of its own, and its file as it was."""

    def __init__(self, format: Format, folder: Path) -> None:
        self.format, self.folder = format, folder
        shutil.copytree(_made(format.material, folder.parent), folder, dirs_exist_ok=True)
        self.path = sorted(folder.glob(format.file))[-1]
        self.content = self.path.read_bytes()
        # what else the folder holds, to be put in its place, and put back where a reader writes
        self.others = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file() and path != self.path
        }
        self.expected = self.kept(format.read(folder))

    def kept(self, value: Any) -> Any:
        """Of what was read, what must be as it was."""
        if self.format.keeps is not None:
            value = self.format.keeps(value)
        return same(value) if self.format.protected or self.format.keeps else None

    def change(self, number: int) -> Mutation:
        """Change the file."""
        rng = random.Random(f"{self.format.name} {number}")
        change = mutation(rng, self.path.name, self.content, self.others, self.format.without)
        self._remove()
        change.apply(self.path)
        return change

    def fault(self) -> str:
        """Read the changed file, put it back; what is wrong with the answer."""
        try:
            return self._read()
        finally:
            self._remove()
            self.path.write_bytes(self.content)
            self._restore()

    def _read(self) -> str:
        try:
            value = self.kept(self.format.read(self.folder))
        except Fault as fault:
            return str(fault)
        except Exception as error:
            return fault_of_error(error)
        except BaseException as error:
            return f"{type(error).__name__}: {traceback.format_exc(limit=-1):.200}"
        return "" if value == self.expected else "another content is read without a word"

    def _remove(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)

    def _restore(self) -> None:
        """Put back what the reader wrote or removed beside the file."""
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            if path.is_file() and path != self.path and name not in self.others:
                path.unlink()
        for name, content in self.others.items():
            path = self.folder / name
            if not path.is_file() or path.stat().st_size != len(content):
                path.unlink(missing_ok=True)
                path.write_bytes(content)
