"""npgpt demo: demonstrations of the architecture, as numbers and pictures."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from ..demos import DEMOS
from ..display import drawing
from ..suggest import unknown
from .console import note, wants_color
from .options import add_color, seed_number
from .parser import Parser

DESCRIPTION = "Show a part of the architecture at work."
EPILOG = "demonstrations:\n" + "\n".join(f"  {n:10} {line}" for n, line in DEMOS.items()) + """

examples:
  npgpt demo shortcut
  npgpt demo gelu --out gelu.png     needs matplotlib: pip install 'npgpt[plot]'
  npgpt demo shapes --size gpt2 --length 64
  npgpt demo generate --model runs/python-docs --prompt "The "
"""
# the options that belong to one demonstration alone
OPTIONS: dict[str, tuple[str, ...]] = {
    "shapes": ("size", "batch", "length", "all"),
    "generate": ("model", "prompt", "steps", "temperature", "seed"),
}


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help=", ".join(DEMOS))
    parser.add_argument("--out", type=Path, metavar="FILE", help="also draw it: .png or .svg")
    add_color(parser)
    shapes = parser.add_argument_group("shapes")
    shapes.add_argument("--size", metavar="NAME", help="small (default), gpt2, ... gpt2-xl")
    shapes.add_argument("--batch", type=int, metavar="B", help="sequences (default 2)")
    shapes.add_argument("--length", type=int, metavar="T", help="tokens of each (default 16)")
    shapes.add_argument("--all", action="store_true", default=None,
                        help="show every block, not only the first of many")
    generate = parser.add_argument_group("generate")
    generate.add_argument("--model", type=Path, metavar="RUN",
                          help="a run or folder of weights (default: trains a tiny model)")
    generate.add_argument("--prompt", metavar="TEXT",
                          help="the text to continue (default 'The exp')")
    generate.add_argument("--steps", type=int, metavar="N",
                          help="tokens shown in detail (default 4)")
    generate.add_argument("--temperature", type=float, metavar="X",
                          help="0 is greedy (default 1)")
    generate.add_argument("--seed", type=seed_number, metavar="N",
                          help="the same seed gives the same text (default 4)")


def run(args: argparse.Namespace) -> int:
    """Compute one demonstration, print it, draw it if asked."""
    if args.name not in DEMOS:
        raise unknown("demonstration", args.name, DEMOS)
    for owner, options in OPTIONS.items():
        for option in options:
            if owner != args.name and getattr(args, option) is not None:
                raise ValueError(f"--{option} belongs to demo {owner}, not to demo {args.name}")
    if args.out is not None:
        drawing.check_path(args.out)
    room = import_module(f"..demos.{args.name}", __package__)
    if args.name == "generate" and args.model is None:
        note("training a tiny model for some seconds; --model RUN shows yours")
    given = {name: getattr(args, name) for name in OPTIONS.get(args.name, ())
             if getattr(args, name) is not None}
    how = {"every_block": True} if given.pop("all", False) else {}
    shown = getattr(room, f"{args.name}_demo")(**given)
    print(getattr(room, f"{args.name}_text")(shown, wants_color(args), **how), flush=True)
    if args.out is not None:
        drawing.save(getattr(room, f"{args.name}_picture")(shown), args.out)
        print(f"\npicture: {args.out}")
    return 0
