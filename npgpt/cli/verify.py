"""npgpt verify: find out what is damaged in a run, a checkpoint, weights or tokens."""

from __future__ import annotations

import argparse
import textwrap

from ..verify import verify
from .options import add_base, use_base
from .parser import Parser

DESCRIPTION = "Check the files of a run, a checkpoint, a model or a token cache."
EPILOG = """\
examples:
  npgpt verify runs/python-docs                    all that is in a run
  npgpt verify runs/python-docs/checkpoints/step-00001500
  npgpt verify gpt2                                a pulled model, by its sha256
  npgpt verify my-model.safetensors                structure, and no NaN
  npgpt verify ~/.cache/npgpt                      the tokens of texts

exit codes: 0 sound, 1 damaged, 3 unreadable, or nothing that npgpt knows
"""
WIDTH = 80
NAME = 37


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("path", metavar="PATH",
                        help="a run, a checkpoint, weights, a token file or a folder of them; or "
                             "the name of a pulled model")
    add_base(parser)


def run(args: argparse.Namespace) -> int:
    """Print a line for each file, and from which checkpoint a damaged run can go on."""
    with use_base(args.base, args.path):
        report = verify(args.path)
    print(f"{report.kind:11}{args.path}")
    for file in report.files:
        before = f"{'damaged' if file.damaged else 'ok':11}{file.name:{NAME}} "
        lines = textwrap.wrap(file.what, WIDTH - 12 - NAME, max_lines=8)
        print(before + f"\n{'':{12 + NAME}}".join(lines))
    files = f"{len(report.files)} file{'s' if len(report.files) != 1 else ''}"
    if not report.damaged:
        print(f"sound      {files}")
        return 0
    print(f"damaged    {report.damaged} of {files}")
    if report.kind == "run":
        print(f"continue   npgpt train --resume {report.sound}" if report.sound else
              "continue   no checkpoint is sound")
    return 1
