"""A rank that is killed before the ranks have met: named on stderr, with its machine.

Until then no rank knows the others. A process of the first one of each machine finds them as
children of the same parent, and waits for the first end. Only Linux has what it takes; no NumPy.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

# a rank's number, and that among the ranks of its machine, as MPICH, Open MPI and Slurm say it
_NUMBERS = (("PMI_RANK", "MPI_LOCALRANKID"), ("PMI_RANK", "SLURM_LOCALID"),
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"))
_WAITS = """
import os, select, sys
from datetime import datetime
variable, parent, host, first = sys.argv[1:]
events, names, seen = select.epoll(), {}, set()
events.register(0, select.EPOLLIN)      # written to or closed by the first rank, our parent
os.set_blocking(0, False)
def look():
    with open(f"/proc/{parent}/task/{parent}/children") as children:
        for process in {*children.read().split()} - seen:
            try:
                handle = os.pidfd_open(int(process))
                with open(f"/proc/{process}/environ") as environ:
                    for text in environ.read().split(chr(0)):
                        if text.startswith(variable + "="):
                            events.register(handle, select.EPOLLIN)
                            rank = text.split("=")[1]
                            names[handle] = f"rank {rank} on {host}, process {process}"
                            seen.add(process)
            except OSError:
                pass
while True:
    look()
    ended = [handle for handle, _ in events.poll(0.05)]
    if 0 in ended and os.read(0, 4):
        break
    if ended:
        # the first rank closes its pipe before it counts as ended, and perhaps after another one
        events.unregister(0)
        lost = [handle for handle in ended if handle] or [handle for handle, _ in events.poll(5)]
        lost = [names[handle] for handle in lost] or [first]
        text = "npgpt: {}, ended before the ranks had met, at {:%H:%M:%S.%f}\\n"
        os.write(2, text.format(lost[0], datetime.now()).encode())
        break
"""

_waiting: subprocess.Popen[bytes] | None = None


def watch_beginning() -> None:
    """Have the first rank of this machine that is killed named; nothing if there are no ranks."""
    global _waiting
    for rank, local in _NUMBERS:
        if rank in os.environ and os.environ.get(local) == "0" and hasattr(os, "pidfd_open"):
            host = platform.node()
            first = f"rank {os.environ[rank]} on {host}, process {os.getpid()}"
            _waiting = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _WAITS, rank, str(os.getppid()), host, first],
                start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            return


def has_begun() -> None:
    """End that: the ranks have met, or this one ends by itself."""
    global _waiting
    if _waiting is not None:
        _waiting.communicate(b"over")
        _waiting = None
