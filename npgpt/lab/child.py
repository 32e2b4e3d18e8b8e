"""npgpt as a process that does not outlive its parent.

    python -m npgpt.lab.child PARENT train --resume runs/a

is `npgpt train --resume runs/a`, started by the process PARENT. If PARENT is killed, the run gets
the SIGTERM on which it saves and stops. Only Linux can report a parent's death; elsewhere the run
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


def end_with(parent: int) -> None:
    """Ask Linux for one SIGTERM when `parent` dies; exit at once if it is dead already."""
    if sys.platform != "linux":
        return
    # SIGHUP is free to carry the message: a run of a study has no terminal that could send it
    signal.signal(signal.SIGHUP, _terminate_once)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != parent:      # it died before we asked
        sys.exit(1)


def _terminate_once(number: int, frame: FrameType | None) -> None:
    # PR_SET_PDEATHSIG fires when a parent thread exits, so a parent with BLAS threads triggers it
    # several times; but a second SIGTERM would mean: stop without saving
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    end_with(int(sys.argv.pop(1)))
    runpy.run_module("npgpt", run_name="__main__")
