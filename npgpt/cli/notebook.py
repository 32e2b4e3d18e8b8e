"""npgpt notebook: three notebooks to read, run and change."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..notebooks.writing import write_notebooks
from .parser import Parser

DESCRIPTION = """\
Write three Jupyter notebooks that run from top to bottom: a layer and its
gradient; train a small model and look inside; load GPT-2 and measure it."""
EPILOG = """\
examples:
  npgpt notebook                  into the folder notebooks
  npgpt notebook lessons --force  into another one, over what is there

To run them: pip install 'npgpt[notebook]', then jupyter lab notebooks
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("folder", type=Path, nargs="?", default=Path("notebooks"),
                        metavar="FOLDER", help="where to (default notebooks)")
    parser.add_argument("--force", action="store_true",
                        help="replace notebooks of these names; your changes in them are lost")


def run(args: argparse.Namespace) -> int:
    """Write them, and say where they are."""
    try:
        paths = write_notebooks(args.folder, args.force)
    except FileExistsError as error:
        if error.filename == str(args.folder):      # a file in the folder's place
            raise
        raise ValueError(f"{error.filename} is there already; --force replaces it") from None
    for path in paths:
        print(path)
    print(f"\nto run them: jupyter lab {args.folder}    (pip install 'npgpt[notebook]')")
    return 0
