"""npgpt as a process that does not outlive the one that started it.

    python -m npgpt.lab.child PARENT train --resume runs/a

is `npgpt train --resume runs/a`, started by process PARENT. Should PARENT be killed, Linux sends
the run the SIGTERM on which it saves and stops. Other systems have no such thing; there it goes on.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Ask for SIGTERM when `parent` dies; exits at once if it is dead already."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # it may have died before we asked
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    end_with(int(sys.argv.pop(1)))
    runpy.run_module("npgpt", run_name="__main__")
