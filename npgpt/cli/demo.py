"""npgpt demo: demonstrations of the architecture, as numbers and pictures."""

from __future__ import annotations

import argparse
import difflib
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ..demos import DEMOS
from .parser import seed_number

EPILOG = "demonstrations:\n" + "\n".join(f"  {n:10} {line}" for n, line in DEMOS.items()) + """

examples:
  npgpt demo shortcut
  npgpt demo gelu --out gelu.png     needs matplotlib: pip install 'npgpt[plot]'
  npgpt demo shapes --size gpt2 --length 64
  npgpt demo generate --model runs/python-docs --prompt "The "
"""
# the flags that belong to one demonstration alone
FLAGS: dict[str, tuple[str, ...]] = {
    "shapes": ("size", "batch", "length", "all"),
    "generate": ("model", "prompt", "steps", "temperature", "seed"),
}


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "demo", help="demonstrations of the architecture, as numbers and pictures", epilog=EPILOG,
        description="Show a part of the architecture at work.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help=", ".join(DEMOS))
    parser.add_argument("--out", type=Path, metavar="FILE", help="also draw it: .png or .svg")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    shapes = parser.add_argument_group("shapes")
    shapes.add_argument("--size", metavar="NAME", help="small (default), gpt2, ... gpt2-xl")
    shapes.add_argument("--batch", type=int, metavar="B", help="sequences (default 2)")
    shapes.add_argument("--length", type=int, metavar="T", help="tokens of each (default 16)")
    shapes.add_argument("--all", action="store_true", default=None,
                        help="every block, where one stands for many")
    generate = parser.add_argument_group("generate")
    generate.add_argument("--model", type=Path, metavar="RUN",
                          help="a run or folder of weights (default: trains a tiny model)")
    generate.add_argument("--prompt", metavar="TEXT",
                          help="the text to go on from (default 'The exp')")
    generate.add_argument("--steps", type=int, metavar="N", help="tokens in detail (default 4)")
    generate.add_argument("--temperature", type=float, metavar="X",
                          help="0 is greedy (default 1)")
    generate.add_argument("--seed", type=seed_number,
                          help="the same seed, the same text (default 4)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compute one demonstration, print it, draw it if asked."""
    _check(args)
    colour = args.color == "always" or (args.color == "auto" and sys.stdout.isatty())
    room = import_module(f"..demos.{args.name}", __package__)
    if args.name == "generate" and args.model is None:
        print("npgpt: training a tiny model for some seconds; --model RUN takes yours",
              file=sys.stderr)
    given = {name: getattr(args, name) for name in FLAGS.get(args.name, ())
             if getattr(args, name) is not None}
    how = {"every_block": True} if given.pop("all", False) else {}
    if "size" in given:
        given["what"] = given.pop("size")
    shown = getattr(room, f"{args.name}_demo")(**given)
    print(getattr(room, f"{args.name}_text")(shown, colour, **how), flush=True)
    if args.out is not None:
        from ..display import drawing

        drawing.save(getattr(room, f"{args.name}_picture")(shown), args.out)
        print(f"\npicture: {args.out}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """ValueError for what does not fit, before any work is done."""
    if args.name not in DEMOS:
        near = difflib.get_close_matches(args.name, DEMOS, n=1)
        raise ValueError(f"{args.name!r} is no demonstration"
                         f"{f', did you mean {near[0]}?' if near else ''}; "
                         f"there are {', '.join(DEMOS)}")
    for owner, flags in FLAGS.items():
        for flag in flags:
            if owner != args.name and getattr(args, flag) is not None:
                raise ValueError(f"--{flag} belongs to demo {owner}, not to demo {args.name}")
    if args.out is not None:
        from ..display.drawing import check_path

        check_path(args.out)
