"""Writing files so that a kill at any moment leaves the old content or the new, never half.

Content is written beside its place, flushed to disk, renamed, and the folder flushed too: a rename
alone can reach the disk before the content does.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

PARTIAL = ".partial-"


def flush_to_disk(path: Path) -> None:
    """fsync a file or a folder; a system that cannot open folders (Windows) is left alone."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir() and os.name == "nt":
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def place_of(path: Path) -> Path:
    """Where a file named `path` is written: there, or where a link of that name leads.

    Raises ValueError if what is there is no regular file: a rename would replace even a device.
    """
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        mode = os.lstat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return place
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a folder; name a file")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is there and is no regular file; name another place")
    return place


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; on success it takes path's place at once.

        with replacing_file(Path("log.json")) as beside:
            beside.write_text("...")

    A link stays, and what it leads to is replaced. Raises ValueError as `place_of` does.
    """
    path = place_of(path)
    beside = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        yield beside
        flush_to_disk(beside)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    flush_to_disk(path.parent)


@contextmanager
def creating_folder(path: Path) -> Iterator[Path]:
    """Give a folder beside `path` to fill; on success it becomes `path`, which must not exist."""
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    beside = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        for inside in beside.rglob("*"):
            flush_to_disk(inside)
        flush_to_disk(beside)
        os.rename(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    flush_to_disk(path.parent)


def remove_partial(folder: Path) -> None:
    """Delete what a killed writer left in `folder`."""
    for leftover in folder.glob(f"{PARTIAL}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
