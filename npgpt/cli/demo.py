"""npgpt demo: demonstrations of the architecture, as numbers and pictures."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ..demos import DEMOS

EPILOG = "demonstrations:\n" + "\n".join(f"  {n:10} {line}" for n, line in DEMOS.items()) + """

examples:
  npgpt demo shortcut
  npgpt demo gelu --out gelu.png            needs matplotlib: pip install 'npgpt[plot]'
  npgpt demo shapes --size gpt2 --length 64
  npgpt demo generate --model runs/python-docs --prompt "The "
"""
# the settings that each demonstration takes, by the names of its flags
SETTINGS: dict[str, tuple[str, ...]] = {
    "shapes": ("size", "batch", "length", "all"),
    "generate": ("model", "prompt", "steps"),
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
    parser.add_argument("--size", metavar="NAME", help="shapes: small (default), gpt2, ...")
    parser.add_argument("--batch", type=int, metavar="B", help="shapes: sequences (default 2)")
    parser.add_argument("--length", type=int, metavar="T", help="shapes: tokens (default 16)")
    parser.add_argument("--all", action="store_true", default=None,
                        help="shapes: every block, not the first alone")
    parser.add_argument("--model", type=Path, metavar="RUN",
                        help="generate: a trained model (default: trains a tiny one)")
    parser.add_argument("--prompt", help="generate: the text to go on from (default 'The ')")
    parser.add_argument("--steps", type=int, metavar="N", help="generate: tokens (default 5)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compute one demonstration, print it, draw it if asked."""
    if args.name not in DEMOS:
        raise ValueError(f"{args.name!r} is no demonstration; there are {', '.join(DEMOS)}")
    for name in {flag for flags in SETTINGS.values() for flag in flags}:
        if getattr(args, name) is not None and name not in SETTINGS.get(args.name, ()):
            raise ValueError(f"--{name} does not belong to demo {args.name}")
    if args.out is not None:
        # before the work, so that a wrong ending or a missing library costs nothing
        from ..demos import drawing

        drawing.check_suffix(args.out)
        drawing.new_figure(1, 1, (1, 1))
    colour = args.color == "always" or (args.color == "auto" and sys.stdout.isatty())
    room = import_module(f"..demos.{args.name}", __package__)
    shown = getattr(room, f"{args.name}_demo")(**_settings(args))
    extra = {"every_block": True} if args.all else {}
    print(getattr(room, f"{args.name}_text")(shown, colour, **extra))
    if args.out is not None:
        drawing.save(getattr(room, f"{args.name}_picture")(shown), args.out)
        print(f"\npicture: {args.out}")
    return 0


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    renamed = {"size": "what"}
    return {renamed.get(name, name): getattr(args, name) for name in SETTINGS.get(args.name, ())
            if name != "all" and getattr(args, name) is not None}
