"""Damage on resuming: each file of a run that was stopped is harmed, then `npgpt train --resume`.

What is damaged in the newest checkpoint is named with the checkpoint before it, and the run goes on
from there to the same bits; damage elsewhere does not keep a run from going on. Nothing is deleted.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable, Iterator

from npgpt.training.checkpoint import checkpoints
from npgpt.weights.checksums import CHECKSUMS

from .nursery import Nursery, Plan
from .outcome import Outcome, fault_of_command
from .runs import RESUME, Reference, fault_at_the_end, fresh, log_of, reference

KEPT = 3


def run(count: int, scratch: Path) -> Iterator[Outcome]:
    """Every file, with at most `count` kinds of damage each."""
    with Nursery() as nursery:
        expected = reference(nursery, scratch, keep_checkpoints=KEPT)
        stopped = fresh(scratch, "stopped")
        nursery.run(expected.arguments, stopped, Plan(5, "SIGINT", "fsync run/log.jsonl"))
        places = checkpoints(stopped / "run")
        for place in places:
            which = "newest" if place == places[-1] else "older"
            for path in sorted(place.iterdir()):
                older = places[0] if place == places[-1] else places[-1]
                for words, harm in _harms(older / path.name)[:count]:
                    folder = _copy(stopped, scratch)
                    harmed = folder / path.relative_to(stopped)
                    harm(harmed)
                    if harmed.is_file() and harmed.read_bytes() == path.read_bytes():
                        continue        # some files are alike at every step
                    yield Outcome("npgpt verify of a damaged run",
                                  f"{place.name}/{path.name}: {words}",
                                  _verified(nursery, folder, f"{place.name}/{path.name}"))
                    yield Outcome(
                        f"a file of the {which} checkpoint" + ("" if which == "newest" else "s"),
                        f"{place.name}/{path.name}: {words}",
                        _answer(nursery, folder, expected, place.name, path.name)
                        if which == "newest" else _goes_on(nursery, folder, expected))
        for path in sorted((stopped / "run").iterdir()):
            if path.is_file() and not path.name.startswith("."):
                for words, harm in _harms(None)[:count]:
                    folder = _copy(stopped, scratch)
                    harm(folder / "run" / path.name)
                    yield Outcome("a file of the run", f"{path.name}: {words}",
                                  _of_the_run(nursery, folder, expected, path.name))


Harm = tuple[str, Callable[[Path], object]]


def _harms(other: Path | None) -> list[Harm]:
    """What is done to a file; `other` is one of the same name from another step."""

    def flipped(fraction: float, bit: int) -> Harm:
        def flip(path: Path) -> None:
            content = bytearray(path.read_bytes())
            content[int(fraction * (len(content) - 1))] ^= 1 << bit
            path.write_bytes(content)
        return f"bit {bit} flipped at {fraction:.0%}", flip

    def cut(fraction: float) -> Harm:
        def truncate(path: Path) -> None:
            content = path.read_bytes()
            path.write_bytes(content[:int(fraction * len(content))])
        return f"truncated to {fraction:.0%}", truncate

    def zero(path: Path) -> None:
        path.write_bytes(bytes(path.stat().st_size))

    harms: list[Harm] = [
        flipped(0.8, 3), ("removed", Path.unlink), cut(0.5), flipped(0.3, 0), ("zeros", zero),
        cut(0.0), flipped(0.6, 6), flipped(1.0, 1), cut(0.97), flipped(0.1, 5), flipped(0.0, 2),
        ("a byte appended", lambda path: path.write_bytes(path.read_bytes() + b"x")),
        ("a folder in its place", lambda path: (path.unlink(), path.mkdir())),
    ]
    if other is not None:
        content = other.read_bytes()
        harms.insert(1, ("another checkpoint's file", lambda path: path.write_bytes(content)))
    return harms


def _copy(stopped: Path, scratch: Path) -> Path:
    place = scratch / "damaged"
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(stopped, place))


def _contents(folder: Path) -> dict[str, bytes]:
    """Every file, but for locks."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".lock")}


def _verified(nursery: Nursery, folder: Path, file: str) -> str:
    """What is wrong with how `npgpt verify` answers to a damaged file, if anything."""
    before = _contents(folder)
    ended = nursery.run(["verify", "run"], folder)
    if fault := fault_of_command(ended.code, ended.err, (1,)):
        return fault
    # against another checkpoint's sums, it is the other files that differ
    known = [line for line in ended.out.splitlines()
             if file in line or CHECKSUMS in file and file.partition("/")[0] in line]
    if not any("damaged" in line.lower() for line in known):
        return "the damaged file is not named"
    return "" if _contents(folder) == before else "files were changed"


def _answer(
    nursery: Nursery, folder: Path, expected: Reference, checkpoint: str, file: str
) -> str:
    """The newest checkpoint is damaged: it is said, nothing changes, the one before is named."""
    run, before = folder / "run", _contents(folder / "run")
    ended = nursery.run(RESUME, folder)
    if ended.code == 0:
        return "the damage is not noticed"
    if fault := fault_of_command(ended.code, ended.err, (2, 3)):
        return fault
    if _contents(run) != before:
        return "the answer is right, but files were changed"
    last = ended.err.strip().splitlines()[-1]
    if checkpoint not in last:
        return "the damaged checkpoint is not named"
    # against another checkpoint's sums, it is the other files that differ
    if file not in last and file != CHECKSUMS:
        return "the damaged file is not named"
    older = checkpoints(run)[-2]
    if older.name not in last:
        return "the checkpoint before it is not named"
    ended = nursery.run(["train", "--resume", str(older.relative_to(folder))], folder)
    if fault := fault_of_command(ended.code, ended.err, (0,)):
        return f"on resuming from the checkpoint before it: {fault}"
    return fault_at_the_end(run, expected)


def _goes_on(nursery: Nursery, folder: Path, expected: Reference) -> str:
    """An older checkpoint is damaged: the run goes on from the newest."""
    ended = nursery.run(RESUME, folder)
    if fault := fault_of_command(ended.code, ended.err, (0,)):
        return fault
    return fault_at_the_end(folder / "run", expected, older=False)


def _of_the_run(nursery: Nursery, folder: Path, expected: Reference, file: str) -> str:
    """A file beside the checkpoints: the run goes on to the same numbers, and loses no sound line
    of the log; or one line says what is wrong."""
    run = folder / "run"
    sound = set(_lines(run)) & set((folder.parent / "stopped" / "run" / "log.jsonl")
                                   .read_bytes().splitlines())
    ended = nursery.run(RESUME, folder)
    if fault := fault_of_command(ended.code, ended.err, (0, 2, 3)):
        return fault
    kept = {line for path in run.iterdir() if path.is_file() for line in
            path.read_bytes().splitlines()}
    if sound - kept:
        return f"{len(sound - kept)} of {len(sound)} sound lines of the log are lost"
    if ended.code == 0 and file != "log.jsonl" and log_of(run) != expected.log:
        return "the log is not that of the undisturbed run"
    return ""


def _lines(run: Path) -> list[bytes]:
    path = run / "log.jsonl"
    return path.read_bytes().splitlines() if path.is_file() else []
