"""npgpt plot: the curves of one or several training runs."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ..display.terminal import WIDTH
from ..training.curves import SUFFIXES, check_path, plot
from .console import note, wants_color
from .options import add_color
from .parser import Parser

DESCRIPTION = "Draw loss, held-out loss, learning rate, gradient norm and tokens per second."
EPILOG = """\
examples:
  npgpt plot runs/python-docs            in the terminal, also while it trains
  npgpt plot runs/*                      several runs, to compare
  npgpt plot runs/* -o curves.html       a small page that needs nothing else
  npgpt plot runs/* -o curves.png        a picture (matplotlib, the extra plot)

A point of a curve is the mean over some steps; the loss shown for a run is the
mean of its last twentieth. The numbers are those of RUN/log.jsonl.
"""
# where fewer columns are left, nothing is legible
_LEAST = 40


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN",
                        help="a run folder, one of its checkpoints, or a log.jsonl")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE",
                        help=f"write a file instead: {', '.join(SUFFIXES)}")
    add_color(parser)


def run(args: argparse.Namespace) -> int:
    """Print charts, or write a file and print its path."""
    if args.out is not None:
        check_path(args.out)
    curves = plot(*args.runs)
    for line in curves.notes:
        note(line)
    if args.out is not None:
        curves.save(args.out)
        print(f"{args.out}  {args.out.stat().st_size:,} bytes")
    else:
        columns = shutil.get_terminal_size((WIDTH, 24)).columns
        print(curves.text(max(_LEAST, min(WIDTH, columns)), colour=wants_color(args)))
    return 0
