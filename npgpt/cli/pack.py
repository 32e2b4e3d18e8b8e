"""npgpt pack: everything a small GPT-2 computes, for people who port it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..budget import budget
from ..config import GPT2Config
from ..packs import compare_packs, listed, reader, tiny_config, write_pack
from ..packs.readers import READERS
from ..weights.huggingface import read_config
from .options import add_seed
from .parser import Parser

DESCRIPTION = "Write a conformance pack, list what is in it, or compare two."
EPILOG = """\
examples:
  npgpt pack tiny my-pack              parameters, activations, gradients
  npgpt pack config.json my-pack       of your own model's config
  npgpt pack --list my-pack            its tensors in the order of execution
  npgpt pack --reader c > pack.h       a reader in C; js for JavaScript
  npgpt pack --compare my-pack theirs  the first tensor that differs, and why

A pack is pack.safetensors, pack.json, and pack.md: a page on how to compare.
exit codes: 0 written, or all tensors agree; 1 a tensor differs; 2 usage; 3 a
file cannot be read or written
"""
# a pack holds every gradient in two precisions: beyond this it would be gigabytes
MOST_PARAMETERS = 5_000_000


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("first", metavar="CONFIG", nargs="?",
                        help="tiny, a config.json, or (--compare, --list) a pack")
    parser.add_argument("second", metavar="OUT", type=Path, nargs="?",
                        help="the folder to write, or (--compare) the other pack")
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--compare", action="store_true",
                      help="compare the second pack with the first")
    does.add_argument("--list", action="store_true",
                      help="list a pack's tensors in the order of execution")
    does.add_argument("--reader", choices=[*READERS],
                      help="print a reader for your port's language")
    add_seed(parser, 0, "of the random model (default 0)")


def run(args: argparse.Namespace) -> int:
    """Write, list or compare."""
    if args.reader:
        print(reader(args.reader), end="")
        return 0
    if args.first is None or (args.second is None) != args.list:
        raise ValueError("expected --list PACK" if args.list else
                         f"expected {'PACK PACK' if args.compare else 'CONFIG OUT'}, got "
                         f"{' '.join(str(a) for a in (args.first, args.second) if a) or 'nothing'}")
    if args.list:
        print("\n".join(f"{shape:<14} {name}" for name, shape in listed(args.first)))
        return 0
    if args.compare:
        comparison = compare_packs(args.first, args.second)
        print(comparison)
        return 0 if comparison.ok else 1
    if args.second.exists() and not args.second.is_dir():
        raise ValueError(f"{args.second} is not a folder; name another place")
    folder = write_pack(args.second, _config(args.first), args.seed)
    for path in sorted(folder.glob("pack.*")):
        print(f"{path}  {path.stat().st_size:,} bytes")
    return 0


def _config(what: str) -> GPT2Config:
    if what == "tiny":
        return tiny_config()
    path = Path(what)
    if path.suffix != ".json":
        raise ValueError(f"expected tiny or a config.json, got {what!r}")
    config = read_config(path)
    count = budget(config).parameters
    if count > MOST_PARAMETERS:
        raise ValueError(f"{path} has {count:,} parameters; a pack is for small models, of up to "
                         f"{MOST_PARAMETERS:,}")
    return config
