"""npgpt demo: demonstrations of the architecture, as numbers and pictures."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any, Callable

from ..demos import DEMOS
from ..display import drawing
from ..suggest import unknown
from .console import bar, note, wants_color
from .options import add_base, add_color, seed_number, use_base
from .parser import Parser

DESCRIPTION = "Show a part of the architecture at work: its numbers, and a picture."
LIST = "demonstrations:\n" + "\n".join(f"  {n:10} {line}" for n, line in DEMOS.items())
EPILOG = LIST + """

examples:
  npgpt demo attention --text "a sentence of your own"
  npgpt demo attention --model gpt2 --layer 5     after npgpt pull gpt2
  npgpt demo gelu --out gelu.png     with matplotlib: pip install 'npgpt[plot]'
  npgpt demo shapes --size gpt2 --length 64
  npgpt demo generate --model runs/python-docs --prompt "The "
"""
# the options of some demonstrations alone; what is not given has the function's own default
OPTIONS: dict[str, tuple[str, ...]] = {
    "bpe": ("text",),
    "embedding": ("text",),
    "attention": ("text", "model", "layer", "head", "seed"),
    "softmax": ("logits", "target"),
    "adamw": ("steps", "lr"),
    "generate": ("model", "prompt", "steps", "temperature", "seed"),
    "shapes": ("size", "batch", "length", "all"),
}
# these may take more than two seconds, and report how far they are
SLOW = ("generate", "shapes")


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", nargs="?",
                        help="one of those below; without it they are listed")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also draw it: .png or .svg")
    add_color(parser)
    some = parser.add_argument_group("of some demonstrations")

    def add(name: str, meaning: str, **how: Any) -> None:
        owners = ", ".join(owner for owner, options in OPTIONS.items() if name in options)
        some.add_argument(f"--{name}", help=f"{owners}: {meaning}", **how)

    add("text", "a sentence of your own", metavar="TEXT")
    add("model", "a run or a folder of weights; without it vectors are drawn, and generate trains "
        "a tiny model", type=Path, metavar="RUN")
    add_base(some)
    add("layer", "of the model (default 0)", type=int, metavar="N")
    add("head", "the one shown in full (default 0)", type=int, metavar="N")
    add("logits", "scores of some tokens", type=float, nargs="+", metavar="X")
    add("target", "the token that came, counted from 0 (default 0)", type=int, metavar="N")
    add("prompt", "the text to continue (default 'The exp')", metavar="TEXT")
    add("steps", "of the optimiser (default 80); tokens shown in detail (default 4)", type=int,
        metavar="N")
    add("lr", "learning rate (default 0.2)", type=float, metavar="X")
    add("temperature", "0 is greedy (default 1)", type=float, metavar="X")
    add("seed", "the same seed gives the same numbers", type=seed_number, metavar="N")
    add("size", "small (default), gpt2, ... gpt2-xl", metavar="NAME")
    add("batch", "sequences (default 2)", type=int, metavar="B")
    add("length", "tokens of each (default 16)", type=int, metavar="T")
    add("all", "every block, not only the first of many", action="store_true", default=None)


def run(args: argparse.Namespace) -> int:
    """Compute one demonstration, print it, draw it if asked; without a name, list them all."""
    given = {name: getattr(args, name) for name in dict.fromkeys(sum(OPTIONS.values(), ()))
             if getattr(args, name) is not None}
    if args.name is None and not given and args.out is None:
        print(f"{LIST}\n\nnpgpt demo NAME shows one; npgpt demo --help, their options")
        return 0
    if args.name not in DEMOS:
        raise unknown("demonstration", args.name or "", DEMOS)
    for option in given:
        owners = [owner for owner, options in OPTIONS.items() if option in options]
        if args.name not in owners:
            raise ValueError(
                f"--{option} belongs to demo {' and '.join(owners)}, not to demo {args.name}")
    if args.out is not None:
        drawing.check_path(args.out)
    room = import_module(f"..demos.{args.name}", __package__)
    how = {"every_block": True} if given.pop("all", False) else {}
    if args.name == "generate" and args.model is None:
        note("training a tiny model for some seconds; --model RUN shows yours")
    demo = getattr(room, f"{args.name}_demo")
    with use_base(args.base, args.model):
        shown = _with_bar(demo, given) if args.name in SLOW else demo(**given)
    print(getattr(room, f"{args.name}_text")(shown, wants_color(args), **how), flush=True)
    if args.out is not None:
        drawing.save(getattr(room, f"{args.name}_picture")(shown), args.out)
        print(f"\npicture: {args.out}")
    return 0


def _with_bar(demo: Callable[..., Any], given: dict[str, object]) -> object:
    with bar("step") as progress:
        def on_step(done: int, total: int) -> None:
            progress.total = total
            progress.update(done - progress.n)

        return demo(**given, on_step=on_step)
