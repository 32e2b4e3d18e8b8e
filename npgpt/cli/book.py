"""npgpt book: replay the numbers of the book, beside the ones computed here."""

from __future__ import annotations

import argparse
import json
import platform
import time
from functools import partial
from pathlib import Path

import numpy as np

from ..book.figures import DIFFERENT
from ..book.replay import CHAPTERS, as_records, replay, replay_section, replay_training
from ..book.training import EPOCHS
from ..files import place_of, write_text
from ..version import VERSION
from .parser import Parser

DESCRIPTION = "Replay 'Build a Large Language Model (From Scratch)' by S. Raschka in NumPy."
EPILOG = """\
A figure agrees ("yes") if every printed digit is reproduced; "rounding" means
as close as float32 arithmetic in another order of summation can come; "no"
means neither. The number before a figure is its section in the book; the
listing behind it is the code that computes it there.

examples:
  npgpt book                  chapters 2 to 5, half a minute, 1 GB of memory
  npgpt pull gpt2             once: then 5.5, OpenAI's weights, is replayed too
  npgpt book --chapters 2 3   a second
  npgpt book --section 3.5    the numbers that you have open in the book
  npgpt book --train --json book-training.json
                              chapter 5's training run, ten minutes, 4 GB

exit codes: 0 all agree, up to rounding; 1 a figure does not; 2 usage
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--chapters", type=int, nargs="+", metavar="N",
                        help="chapters to replay, of 2 3 4 5 (default all)")
    parser.add_argument("--section", metavar="N.N",
                        help="one section instead, such as 3.5 or 3.5.1")
    parser.add_argument("--train", action="store_true",
                        help="replay chapter 5's training run instead, step by step")
    parser.add_argument("--epochs", type=int, metavar="N",
                        help="with --train: stop after N of its ten epochs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")


def run(args: argparse.Namespace) -> int:
    """Print the table, write the JSON if asked for, and judge."""
    if args.epochs is not None and not args.train:
        raise ValueError("--epochs belongs to --train")
    if args.chapters is not None and args.train:
        raise ValueError("--train replays chapter 5's training run alone; leave --chapters out")
    if args.section is not None and (args.train or args.chapters is not None):
        raise ValueError("--section replays one section alone; leave --chapters and --train out")
    # before minutes of work, not after
    if args.json is not None and not place_of(args.json).parent.is_dir():
        raise ValueError(f"--json {args.json}: there is no folder {args.json.parent}")
    started, report = time.monotonic(), partial(print, flush=True)
    if args.train:
        figures = replay_training(EPOCHS if args.epochs is None else args.epochs, report)
    elif args.section is not None:
        figures = replay_section(args.section, report)
    else:
        figures = replay(args.chapters or list(CHAPTERS), report)
    if args.json is not None:
        content = {
            "npgpt": VERSION, "numpy": np.__version__, "python": platform.python_version(),
            "machine": platform.machine(), "seconds": round(time.monotonic() - started, 1),
            "figures": as_records(figures),
        }
        write_text(args.json, json.dumps(content, indent=1) + "\n")
    return 1 if any(figure.verdict == DIFFERENT for figure in figures) else 0
