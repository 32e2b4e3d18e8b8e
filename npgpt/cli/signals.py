"""Ctrl-C and a polite kill, as a wish to save and stop."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Callable

from .console import note

_Handler = Callable[[int, FrameType | None], object] | int | None


class Interruption:
    """Within it, a first SIGINT or SIGTERM is only noted; a second one raises KeyboardInterrupt.

        with Interruption() as interruption:
            while not interruption.happened(): ...
    """

    def __init__(self) -> None:
        self._asked = False
        self._previous: dict[int, _Handler] = {}

    def happened(self) -> bool:
        """Whether a signal came."""
        return self._asked

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        # a line of its own, under the terminal's ^C
        print(file=sys.stderr)
        note("stopping after this step, then saving; press again to stop without saving")
