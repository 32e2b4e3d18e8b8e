"""npgpt explain: what a kind of fault is, and how to find it by hand."""

from __future__ import annotations

import argparse

from ..doctor.explanations import explained, listed
from .parser import Parser

DESCRIPTION = "What a kind of fault is, by its name in a report of the gradient check."

EPILOG = """\
examples:
  npgpt explain                 every kind, with a sentence
  npgpt explain missing-term    what it is, an example, how to find it by hand

exit codes: 0 success, 2 an unknown kind
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("kind", nargs="?", metavar="KIND",
                        help="as a report names it (default: list all kinds)")


def run(args: argparse.Namespace) -> int:
    """Print the text on a kind, or the list of all."""
    print(listed() if args.kind is None else explained(args.kind))
    return 0
