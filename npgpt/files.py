"""Atomic writes, which a kill at any moment cannot leave half done; and the hold on a folder.

Content is written beside its place, flushed to disk and renamed, and then the folder is flushed: a
rename alone can reach the disk before the content does.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Iterator

PARTIAL = ".partial-"
LOCK_FILE = ".lock"
# apart from the lock: filelock empties that file before it has it, and Windows lets nobody read it
OWNER_FILE = ".lock-owner"
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)


class InUse(ValueError):
    """Another process holds a folder; `process` is its id, "?" if it has not written it yet."""

    def __init__(self, folder: Path, process: str) -> None:
        self.process = process
        super().__init__(
            f"{folder} is in use by another process, {process}; wait until it ends, or end it"
        )


def flush_to_disk(path: Path) -> None:
    """fsync a file or a folder; does nothing for a folder on Windows, which cannot open one."""
    handle = _opened(path)
    if handle is not None:
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _opened(path: Path) -> int | None:
    """A handle of a file or a folder; None for a folder on Windows."""
    try:
        return os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir() and os.name == "nt":
            return None
        raise


def place_of(path: Path) -> Path:
    """Where a file named `path` is written: there, or where a link of that name leads.

    Raises ValueError for anything but a regular file there: a rename would replace even a device.
    """
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        mode = os.lstat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return place
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a folder; name a file")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} exists and is not a regular file; name another place")
    return place


def check_room(folder: Path, needed: int) -> None:
    """Raise OSError if the disk under `folder` has no room for `needed` more bytes."""
    there = next((p for p in (folder, *folder.absolute().parents) if p.exists()), Path("."))
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OSError(
            errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {needed / 2**20:.1f} MiB needed, "
            f"{free / 2**20:.1f} MiB free", str(folder)
        )


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it replaces `path` in one step.

        with replacing_file(Path("log.json")) as beside:
            beside.write_text("...")

    A link stays, and its target is replaced. Raises ValueError as `place_of` does.
    """
    path = place_of(path)
    beside = _beside(path)
    try:
        yield beside
        flush_to_disk(beside)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    flush_to_disk(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all; raises ValueError as `place_of` does."""
    with replacing_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


@contextmanager
def creating_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` to fill; on success it is renamed to `path`.

    Raises FileExistsError if `path` exists.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    beside = _beside(path)
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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an existing folder against other processes; raises InUse if one of them holds it.

    What killed writers left in the folder is deleted. The lock is the operating system's: it ends
    with its process, however that ends, so a lock file that is left behind locks nobody out. On a
    disk without locks the folder is not held.
    """
    from filelock import FileLock, Timeout

    lock, owner = FileLock(folder / LOCK_FILE), folder / OWNER_FILE
    try:
        lock.acquire(blocking=False)
    except Timeout:
        try:
            process = owner.read_text(encoding="utf-8")
        except OSError:
            process = ""
        raise InUse(folder, process or "?") from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        yield
        return
    try:
        owner.write_text(str(os.getpid()), encoding="utf-8")
        remove_partial(folder)
        yield
    finally:
        with suppress(OSError):     # the folder may be gone, and its name another's
            if owner.read_text(encoding="utf-8") == str(os.getpid()):
                owner.unlink()
        lock.release()


def remove_partial(folder: Path, suffix: str = "", seconds: float = 0.0) -> None:
    """Delete what a killed writer left in `folder`, if its name ends in `suffix`.

    What another live process writes stays. With `seconds`, so does what was written to later than
    that: its writer may be a thread of this process, or be on another machine.
    """
    for leftover in folder.glob(f"{PARTIAL}*{suffix}"):
        if _is_live(leftover.name.removeprefix(PARTIAL).partition("-")[0]):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
            continue
        with suppress(OSError):     # another process was quicker, or the folder is not ours
            if not seconds or time.time() - leftover.stat().st_mtime > seconds:
                leftover.unlink()


def remove_folder(path: Path) -> None:
    """Delete a folder that a kill must not leave half deleted under its name; a link stays.

    What cannot be deleted is left, for `remove_partial` to try again.
    """
    gone = _beside(path)
    with suppress(OSError):
        if not path.is_symlink():
            path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _is_live(process: str) -> bool:
    """Whether a process id is that of another process, and not of one that has ended."""
    # on Windows, to ask would be to end it
    if os.name != "posix" or not process.isdecimal() or int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def aside(path: Path) -> Path:
    """A free name beside `path`, for what must not be lost: aside-NAME, aside-2-NAME, ..."""
    number, free = 1, path.with_name(f"aside-{path.name}")
    while free.exists():
        number += 1
        free = path.with_name(f"aside-{number}-{path.name}")
    return free


@contextmanager
def pinned(folder: Path) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether a path still leads to the folder or file that it does now.

    It does not once that one is renamed, deleted or replaced.
    """
    # held open: the number of a deleted folder may be given to the next one
    handle = _opened(folder)

    def is_there() -> bool:
        try:
            # Windows lets nobody rename a folder with an open file
            return handle is None or os.path.samestat(os.fstat(handle), os.stat(folder))
        except OSError:
            return False

    try:
        yield is_there
    finally:
        if handle is not None:
            os.close(handle)
