"""npgpt pull: bring a model to this machine by its name."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..weights.hub import pull
from .parser import Parser

DESCRIPTION = "Download a GPT-2 by its name, through huggingface_hub."
EPILOG = """\
examples:
  npgpt pull gpt2                        then: npgpt generate gpt2 ...
  npgpt pull distilgpt2                  any GPT-2 that transformers loads
  npgpt pull org/name --to weights/name  into a folder of your own

What transformers has downloaded before is used, and completed if it lacks its
tokenizer. Downloading needs the extra npgpt[hub]; without it, or without a
network, a line says which files to place where by hand. HF_HOME names another
cache, HF_ENDPOINT another server.
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="gpt2, distilgpt2, org/name, ...")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="instead of the cache")


def run(args: argparse.Namespace) -> int:
    """Fetch; prints the folder."""
    print(pull(args.name, args.to))
    return 0
