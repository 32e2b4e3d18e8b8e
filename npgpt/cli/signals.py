"""Ctrl-C and a polite kill, as a wish to save and stop."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from types import FrameType
from typing import Callable, Iterator

from .console import note


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Within it, a first SIGINT or SIGTERM is only noted; a second one raises KeyboardInterrupt.

        with interruption() as happened:
            while not happened(): ...
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        # a line of its own, under the terminal's ^C
        print(file=sys.stderr)
        note("stopping after this step, then saving; press again to stop without saving")

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
