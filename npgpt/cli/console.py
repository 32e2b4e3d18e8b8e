"""What verbs print in the same way: notes on stderr, colour, durations."""

from __future__ import annotations

import argparse
import os
import sys


def note(text: str) -> None:
    """Print a remark on stderr, apart from the results."""
    print(f"npgpt: {text}", file=sys.stderr)


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
