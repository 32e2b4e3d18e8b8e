"""npgpt as a process that does not outlive its parent.

    python -m npgpt.lab.child train --resume runs/a

is `npgpt train --resume runs/a`, with stdin as the sign that its parent lives: a pipe whose other
end the parent holds and never writes to. Where the parent dies, however that happens, the pipe
ends, and the run gets the SIGTERM on which it saves and stops. (Windows knows no such signal: there
the run ends at once, and its last checkpoint counts.)
"""

from __future__ import annotations

import os
import runpy
import signal
import threading


def end_with_stdin() -> None:
    """Have this process get one SIGTERM when its stdin ends."""

    def wait() -> None:
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_stdin()
    runpy.run_module("npgpt", run_name="__main__")
