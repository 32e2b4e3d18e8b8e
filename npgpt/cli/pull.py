"""npgpt pull: fetch published GPT-2 weights into the cache."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..config import SIZES
from ..display.bars import progress_bar
from ..weights.pull import pull
from .parser import Parser

if TYPE_CHECKING:
    from tqdm import tqdm

DESCRIPTION = "Download published GPT-2 weights, resumably and checked by sha256."
EPILOG = """\
examples:
  npgpt pull gpt2                        then: npgpt generate gpt2 ...
  npgpt pull gpt2-xl --to weights/xl     into a folder of your own

An interrupted download continues where it stopped. HF_ENDPOINT names another
server, HF_HOME another cache folder; weights that transformers has downloaded
before are used as they are.
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", choices=list(SIZES), help=", ".join(SIZES))
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="instead of the cache folder")


def run(args: argparse.Namespace) -> int:
    """Fetch and check; prints the folder and what its sha256 was compared with."""
    bar: tqdm[NoReturn] | None = None

    def on_progress(done: int, total: int) -> None:
        # the bar appears with the first bytes, when their number is known (0: unknown)
        nonlocal bar
        if bar is None:
            bar = progress_bar(initial=done, total=total or None, unit="B", unit_scale=True,
                               unit_divisor=1024)
        bar.update(done - bar.n)

    try:
        pulled = pull(args.name, args.to, on_progress)
    finally:
        if bar is not None:
            bar.close()
    print(pulled.folder)
    if pulled.checked_against:
        whose = "npgpt knows" if pulled.checked_against == "npgpt" else "the server announces"
        print(f"sha256 {pulled.sha256}, as {whose}")
    elif pulled.fetched:
        print(f"sha256 {pulled.sha256}; neither npgpt nor the server knows one to compare with")
    else:
        print("already there; no sha256 is known to compare it with")
    return 0
