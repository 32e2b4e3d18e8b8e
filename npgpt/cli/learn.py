"""npgpt learn: a course from a difference quotient to GPT-2, graded by the doctor."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..learn.exercise import read_course
from ..learn.verify import verify
from .parser import Parser

DESCRIPTION = """\
A course: exercises from a difference quotient to a GPT-2 of your own, each a
plain Python file, each graded by the doctor."""
EPILOG = """\
for teachers:
  npgpt learn verify DIR      try every claim of a course
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("action", choices=("verify",))
    parser.add_argument("what", nargs="?", metavar="DIR")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    course = read_course(Path(args.what) if args.what else None)
    if args.only:
        course = [e for e in course if e.folder.name in args.only or e.name in args.only]
    failed = 0
    for trial in verify(course):
        print(f"{'FAIL' if trial.problem else 'ok  '} {trial.exercise}: {trial.claim}"
              + (f"\n       {trial.problem}" if trial.problem else ""), flush=True)
        failed += bool(trial.problem)
    return 1 if failed else 0
