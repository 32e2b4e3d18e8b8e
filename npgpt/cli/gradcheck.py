"""npgpt gradcheck: check every gradient against numeric derivatives."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import os
from collections import Counter
from pathlib import Path
from textwrap import wrap

from ..doctor import Report, examine_file
from ..doctor.evidence.report import Row, paint
from ..doctor.styles.headers import read_flag
from ..files import write_text
from ..selfcheck.check import GOAL, check_models, check_ops
from ..training.log import plain
from .console import wants_color
from .options import add_color, add_seed
from .parser import Parser

DESCRIPTION = "Check gradients in float64, by complex step or Richardson extrapolation."

EPILOG = """\
examples:
  npgpt gradcheck                     every layer and whole models: a table
  npgpt gradcheck --ops fast          the same for the fast versions
  npgpt gradcheck mine.py             every pair and layer in a file of yours
  npgpt gradcheck mine.py:layernorm   layernorm_forward and _backward alone
  npgpt gradcheck mine.py:Linear      a class with forward and backward
  npgpt gradcheck mine.py --shape x=2,3,8 --shape weight=8 --shape eps=1e-5
  npgpt gradcheck mine.py --shape 'ids=ids(2,3)<7' --shape bias=None

A file can give the shapes itself, in a comment above a forward or a class:
  # gradcheck: x=(2,3,8) weight=(8,) bias=(8,) eps=1e-5
  # gradcheck: x=(2,3)>0 target=const(2,3) ids=ids(2,3)<7 mask=bools(3)
  # gradcheck: x=(2,4,4) conv_param={'stride': 2, 'pad': 1} axes=tuple(0,1)
  # gradcheck: n_in=3 n_out=4 x=(2,3)      of a class: its constructor too

exit codes: 0 all gradients right, 1 a finding (also: undecided, or not
examined), 2 a mistake in the command, or nothing in the file could be
examined, 3 the file cannot be read or is not Python
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", nargs="?", metavar="FILE[:NAME]",
                        help="a Python file with your own pairs and layers (default: npgpt's "
                             "own)")
    parser.add_argument("--shape", action="append", default=[], metavar="ARG=2,3,8",
                        help="an input of your pair, as in its header: a shape (8 is (8,), "
                             "'scalar' a single number), ids(2,3)<7, None, or a setting")
    parser.add_argument("--ops", choices=("textbook", "fast"), default="textbook",
                        help="which of npgpt's own layers (default textbook)")
    parser.add_argument("--all", action="store_true",
                        help="a line for every tensor of the whole models too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports as JSON too")
    add_seed(parser, 0, "of the random inputs (default 0)")
    add_color(parser)


def run(args: argparse.Namespace) -> int:
    """Print a table, or the report of a user's file; 1 if anything is wrong."""
    if args.file is not None:
        return _examine_file(args, wants_color(args))
    if args.shape:
        raise ValueError("--shape belongs to a FILE of your own; name it too")
    return _examine_all(args, wants_color(args))


def _examine_all(args: argparse.Namespace, colour: bool) -> int:
    print(_line("op or model", "input", "shape", "error", "method"))
    reports: list[Report] = []
    for check, whole_models in ((check_ops, False), (check_models, True)):
        for report in check(args.ops, args.seed):
            reports.append(report)
            for row in [_summary(report)] if whole_models and not args.all else report.rows:
                shape = "x".join(map(str, row.shape))
                how = row.method.split()[0] if row.ok else "WRONG"
                line = _line(report.op, row.argument, shape, f"{row.error:.0e}", how)
                print(paint(line, "red", colour and not row.ok), flush=True)
    rows = [row for report in reports for row in report.rows]
    _write_json(args.json, reports)
    wrong = [report for report in reports if not report.ok]
    for report in wrong:
        print("\n" + report.text(colour=colour))
    print()
    for method, count in Counter(f"{row.method} ({row.why})" for row in rows).items():
        print("\n".join(wrap(f"{method}: {count} gradients", 80)))
    worst = max(report.worst for report in reports)
    print(f"\n{len(rows)} gradients, worst relative error {worst:.0e}, goal {GOAL:.0e}")
    above = [f"{row.op} {row.argument}" for row in rows if row.ok and row.error > GOAL]
    if above:
        print(f"right, but above the goal: {', '.join(above)}")
    if wrong:
        print(paint(f"{len(wrong)} WRONG: {', '.join(r.op for r in wrong)}", "red", colour))
        return 1
    print(paint("all right", "green", colour))
    return 0


def _line(op: str, argument: str, shape: str, error: str, method: str) -> str:
    # a long name takes the blanks before the shape, so that no label is cut
    names = f"{op:34} {argument:20}"
    return f"{names}{shape:>{63 - len(names)}} {error:>5} {method}"


def _summary(report: Report) -> Row:
    """One row for a whole model: its worst tensor."""
    worst = max(report.rows, key=lambda row: (not row.ok, row.error))
    return dataclasses.replace(worst, argument=f"all {len(report.rows)} tensors", shape=())


def _examine_file(args: argparse.Namespace, colour: bool) -> int:
    path = Path(args.file.rpartition(":")[0] if ":" in args.file else args.file)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a Python file in it")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file; name a Python file")
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if args.json is not None and not args.json.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(args.json.parent))
    shapes = {name: value for text in args.shape for name, value in read_flag(text).items()}
    reports = list(examine_file(args.file, shapes=shapes, seed=args.seed))
    print("\n\n".join(report.text(colour=colour) for report in reports))
    _write_json(args.json, reports)
    return 0 if all(report.ok for report in reports) else 1


def _write_json(path: Path | None, reports: list[Report]) -> None:
    if path is not None:
        write_text(path, json.dumps(plain([r.to_dict() for r in reports]), indent=1) + "\n")
