"""npgpt as a process that does not outlive the one that started it.

    python -m npgpt.lab.child PARENT train --resume runs/a

is `npgpt train --resume runs/a`, started by process PARENT. Should PARENT be killed, the run gets
the SIGTERM on which it saves and stops. Linux alone can tell of a parent's death; elsewhere the run
goes on.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1


class _Once:
    """Hand on the news as one SIGTERM.

    Linux tells of the end of the parent's threads rather than of the parent: BLAS keeps some, and
    each that outlives the one before tells once more. A second SIGTERM would mean stop unsaved.
    """

    def __init__(self) -> None:
        self._told = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self._told:
            self._told = True
            os.kill(os.getpid(), signal.SIGTERM)


def end_with(parent: int) -> None:
    """Ask for one SIGTERM when `parent` dies; exits at once if it is dead already."""
    if sys.platform != "linux":
        return
    # a run of a study has no terminal that could send it this one
    signal.signal(signal.SIGHUP, _Once())
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    # it may have died before we asked
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    end_with(int(sys.argv.pop(1)))
    runpy.run_module("npgpt", run_name="__main__")
