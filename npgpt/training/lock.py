"""One process at a time may write to a run folder.

The lock is the kernel's (flock) on RUN/.lock: it ends with the process that holds it, however that
ends, so a file that is left behind locks nobody out. Where the system has no such lock (Windows,
some network disks) nothing is held back.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

LOCK_FILE = ".lock"


@contextmanager
def only_writer(run_folder: Path) -> Iterator[None]:
    """Hold a run folder, which must exist; ValueError, in one line, if another process holds it."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (run_folder / LOCK_FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "?"
            raise ValueError(f"{run_folder} is being trained by another process, {owner}; wait "
                             f"until it ends, or end it") from None
        except OSError:
            pass            # a disk without locks
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
