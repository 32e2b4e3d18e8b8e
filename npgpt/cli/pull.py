"""npgpt pull: fetch published GPT-2 weights into the cache."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from ..config import SIZES

EPILOG = """\
examples:
  npgpt pull gpt2                        then: npgpt generate gpt2 ...
  npgpt pull gpt2-xl --to weights/xl     into a folder of your own

An interrupted download goes on where it stopped. HF_ENDPOINT names another
server, HF_HOME another cache folder; weights that transformers has fetched
before are found and not fetched again.
"""


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "pull", help="download published GPT-2 weights", epilog=EPILOG,
        description="Download published GPT-2 weights, with resume and sha256.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=list(SIZES), help=", ".join(SIZES))
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="instead of the cache folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fetch and check; prints the folder and what its sha256 was compared with."""
    from ..weights.pull import pull

    with _Bar() as bar:
        pulled = pull(args.name, args.to, bar.show)
    print(pulled.folder)
    if pulled.checked_against:
        whose = "the known one" if pulled.checked_against == "npgpt" else "the server's own"
        print(f"sha256 {pulled.sha256}, equal to {whose}")
    elif pulled.fetched:
        print(f"sha256 {pulled.sha256}; neither npgpt nor the server knows one to compare it with")
    else:
        print("was there already; no sha256 is known to compare it with")
    return 0


class _Bar:
    """A bar in a terminal, nothing elsewhere; appears with the first bytes."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, total: int) -> None:
        """Draw that `done` bytes of `total` are there (0: not known)."""
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(initial=done, total=total or None, unit="B", unit_scale=True,
                             unit_divisor=1024, file=sys.stderr, disable=None)
        self._bar.update(done - self._bar.n)
