"""What verbs have in common at the terminal: notes, bars, colour, durations, and Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Callable, Iterator, NoReturn

from ..display.bars import progress_bar

if TYPE_CHECKING:
    from tqdm import tqdm


def note(text: str) -> None:
    """Print a remark on stderr, apart from the results."""
    print(f"npgpt: {text}", file=sys.stderr)


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Say on stderr what is waited for; in a terminal the line disappears afterwards."""
    terminal = sys.stderr.isatty()
    print(text, end="" if terminal else "\n", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def bar(unit: str, total: int | None = None) -> tqdm[NoReturn]:
    """A bar that shows how many of `total` are done, and then disappears; see `progress_bar`."""
    return progress_bar(total=total, unit=unit, unit_scale=True, leave=False)


def wants_color(args: argparse.Namespace) -> bool:
    """Whether --color asks for colour; `auto` means a terminal, unless NO_COLOR is set."""
    if args.color == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return bool(args.color == "always")


@contextmanager
def interruption(quiet: bool = False) -> Iterator[Callable[[], bool]]:
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
        if quiet:
            return
        # a line of its own, under the terminal's ^C
        print(file=sys.stderr)
        note("stopping after this step, then saving; press again to stop without saving")

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
