"""Strings at which a text ends before its length is reached, and showing it up to there."""

from __future__ import annotations

from typing import Collection

from ..checked import checked
from ..suggest import shown


class StopGuard:
    """Passes streamed text on up to a stop string; buffers what may be the start of one.

        guard = StopGuard(["\\n\\n"])
        guard.add("one\\n"), guard.add("two"), guard.flush()        # "one", "\\ntwo", ""
    """

    @checked
    def __init__(self, strings: str | Collection[str] = ()) -> None:
        self.strings = checked_strings(strings)
        self.stopped = False
        self._buffer = ""

    def add(self, text: str) -> str:
        """The text that may be shown now; nothing after a stop string."""
        if self.stopped:
            return ""
        self._buffer += text
        found = [self._buffer.find(string) for string in self.strings if string in self._buffer]
        if found:
            self.stopped = True
            ready, self._buffer = self._buffer[:min(found)], ""
            return ready
        overlap = max((_overlap(self._buffer, string) for string in self.strings), default=0)
        cut = len(self._buffer) - overlap
        ready, self._buffer = self._buffer[:cut], self._buffer[cut:]
        return ready

    def flush(self) -> str:
        """What is still buffered, when no more text will come."""
        ready, self._buffer = self._buffer, ""
        return ready


def id_list(stop_ids: int | Collection[int]) -> list[int]:
    """One stop id, or some, as a list."""
    return [stop_ids] if isinstance(stop_ids, int) else list(stop_ids)


def checked_strings(strings: str | Collection[str]) -> tuple[str, ...]:
    """One string or several as a tuple; ValueError for an empty one or for none at all."""
    several = (strings,) if isinstance(strings, str) else tuple(strings)
    for string in several:
        if not isinstance(string, str) or not string:
            raise ValueError(
                f"stop strings must be text of at least one character; got {shown(string)}")
    return several


def _overlap(text: str, string: str) -> int:
    # the longest end of text that begins string
    longest = min(len(text), len(string) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(string[:n])), 0)
