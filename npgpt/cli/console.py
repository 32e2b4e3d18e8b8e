"""What verbs have in common at the terminal: notes, bars, colour, durations, and Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import contextmanager
from types import FrameType
from typing import Callable, Iterator, NoReturn

from tqdm import tqdm


def note(text: str) -> None:
    """Print a remark on stderr, apart from the results."""
    print(f"npgpt: {text}", file=sys.stderr)


def bar(unit: str, total: int | None = None) -> tqdm[NoReturn]:
    """A bar that shows how many of `total` are done, in a terminal only, and then disappears."""
    return tqdm(total=total, unit=unit, unit_scale=True, disable=None, leave=False)


def wants_color(args: argparse.Namespace) -> bool:
    """Whether --color asks for colour; `auto` means a terminal, unless NO_COLOR is set."""
    if args.color == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return bool(args.color == "always")


def duration(seconds: float) -> str:
    """Seconds in a unit that suits them: 42 s, 3.5 min, 1 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


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
