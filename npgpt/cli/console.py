"""What verbs print in the same way: notes and bars on stderr, colour, durations."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm


def note(text: str) -> None:
    """Print a remark on stderr, apart from the results."""
    print(f"npgpt: {text}", file=sys.stderr)


def bar(unit: str, total: int | None = None) -> tqdm[NoReturn]:
    """A bar that shows how many of `total` are done, in a terminal only, and then disappears."""
    from tqdm import tqdm as make_bar

    return make_bar(total=total, unit=unit, unit_scale=True, disable=None, leave=False)


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
