"""npgpt entropy: how widely every attention head attends, as tables and a heat map."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

from ..display.drawing import check_path, new_figure, save
from ..evaluation.text import evaluation_batches
from ..files import write_text
from ..ids import check_integer
from ..opening import open_model
from ..probe.activity import Activity, measure
from ..probe.entropy import COLLAPSE, greatest, quartiles, uniform_sink
from ..probe.heatmap import SHADES, heat_picture, heat_text
from ..training.log import plain
from .console import wants_color
from .options import add_color
from .parser import Parser
from .texts import add_model_and_text, load_text

DESCRIPTION = "Attention entropy of every layer and head on a text."
EPILOG = """\
Entropy is in nats, averaged over positions and sequences: 0 is a head that
attends to a single position, the causal bound ln(T!) / T one that attends to
all of them equally. Sink is the attention weight on the first position.
`npgpt train --watch entropy` logs the same while a model trains.

examples:
  npgpt entropy runs/python-docs                on its held-out text
  npgpt entropy gpt2/ my-text.txt --length 256 --sequences 4
  npgpt entropy runs/python-docs --png heads.png    needs npgpt[plot]
"""
# heads in one line of a table
ACROSS = 12


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    add_model_and_text(parser)
    parser.add_argument("--length", type=int, metavar="T",
                        help="tokens of a sequence (default: the context)")
    parser.add_argument("--sequences", type=int, default=8, metavar="N",
                        help="how many, spread evenly over the text (default 8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers as JSON")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the heat map as PNG")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the heat map as SVG")
    add_color(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write what was asked for."""
    check_integer("--sequences", args.sequences, 1)
    _check_pictures(args)
    model, tokenizer = open_model(args.model, args.base)
    context = model.config.n_positions
    length = context if args.length is None else check_integer("--length", args.length, 1, context)
    text = load_text(args, tokenizer, length + 1)
    name = f"{text.name} ({text.split})"
    ids, targets = next(evaluation_batches(text.tokens, args.sequences, length, 1))
    seen = measure(model.params, model.config, ids, targets)
    print(f"text       {name}")
    print(f"sequences  {len(ids)}, of T = {length}")
    print(entropy_text(seen))
    print("\n" + heat_text(seen.nats, seen.bound, colour=wants_color(args),
                           ascii_only=not _has_blocks()))
    if args.json is not None:
        write_text(args.json, entropy_json(seen, str(args.model), name) + "\n")
        print(f"\nnumbers: {args.json}")
    # names without their folders: a title has one line
    title = f"{args.model.absolute().name} on {Path(name).name}"
    for path in (args.png, args.svg):
        if path is not None:
            save(heat_picture(seen.nats, seen.bound, length, title), path)
            print(f"\npicture: {path}")
    return 0


def entropy_text(seen: Activity) -> str:
    """The tables of an Activity, in lines of 80 columns at most."""
    n_layer, n_head = seen.nats.shape
    lines = [f"bound      {seen.bound:.4f} nats = ln(T!) / T", *_by_head(seen), "",
             *_by_layer(seen), "", *_by_quarter(seen)]
    if seen.length > 1:
        lines.append(f"sink of uniform attention: {uniform_sink(seen.length):.3f}")
    lines.append(f"NaN        {seen.nan_heads} of {n_layer * n_head} heads; "
                 f"{seen.nan:,} NaN and {seen.inf:,} infinities among the activations")
    if seen.first_break:
        lines.append(f"           the first to break is {seen.first_break}")
    first, last = seen.stream[0], seen.stream[-1]
    growth = last / first if first else math.nan
    lines.append(f"growth     the residual stream's rms grows {growth:.3g} times, from "
                 f"{first:.3g} to {last:.3g}")
    return "\n".join(lines)


def _by_head(seen: Activity) -> list[str]:
    lines = []
    n_layer, n_head = seen.nats.shape
    for title, values, form in (("entropy in nats", seen.nats, "6.2f"),
                                ("in % of the bound", 100 * seen.nats / seen.bound, "6.0f")):
        for first in range(0, n_head, ACROSS):
            heads = range(first, min(first + ACROSS, n_head))
            lines += ["", title, f"{'layer':<6}" + "".join(f"{f'h{h}':>6}" for h in heads)]
            lines += [f"{i:<6}" + "".join(format(values[i, h], form) for h in heads)
                      for i in range(n_layer)]
    return lines


def _by_layer(seen: Activity) -> list[str]:
    lines = ["layer      mean % bound    sink    max   stream rms   units at 0  saturated",
             f"{'input':<6}{'':34}{seen.stream[0]:12.4g}"]
    for i, (nats, sink, units) in enumerate(zip(seen.nats, seen.sink, seen.units)):
        lines.append(f"{i:<6}{nats.mean():9.3f}{nats.mean() / seen.bound:8.1%}{sink.mean():8.3f}"
                     f"{sink.max():7.3f}{seen.stream[i + 1]:14.4g}{units.zeros:12.1%}"
                     f"{units.saturated:11.1%}")
    return lines


def _by_quarter(seen: Activity) -> list[str]:
    lines = [f"heads by quarter of     0-1/4   -1/2   -3/4     -1   collapse: below {COLLAPSE:.0%}"]
    for what, top in (("the bound", seen.bound), ("greatest seen", greatest(seen.nats))):
        if not top > 0.0:
            lines.append(f"  {what}: {top:.3f}, so there are no quarters")
            continue
        found = quartiles(seen.nats, top)
        lines.append(f"  {what:<13} {top:6.3f} " + "".join(f"{s:7.0%}" for s in found.shares)
                     + f"{found.collapse:11.0%}")
    return lines


def entropy_json(seen: Activity, checkpoint: str, text: str) -> str:
    """Every number of an Activity as JSON; what is not finite is text."""
    return json.dumps(plain({
        "checkpoint": checkpoint, "text": text, "length": seen.length,
        "sequences": seen.sequences, "bound": seen.bound,
        "nats": seen.nats.tolist(), "share": (seen.nats / seen.bound).tolist(),
        "layer_mean": seen.nats.mean(axis=1).tolist(),
        "sink": seen.sink.tolist(), "uniform_sink": uniform_sink(seen.length),
        "quartiles": {
            name: quartiles(seen.nats, top)._asdict() if top > 0.0 else None
            for name, top in (("of_bound", seen.bound), ("of_greatest", greatest(seen.nats)))},
        "stream": seen.stream, "units": [asdict(units) for units in seen.units],
        "nan_heads": seen.nan_heads, "nan": seen.nan, "inf": seen.inf,
        "first_break": seen.first_break,
    }), allow_nan=False, indent=1)


def _check_pictures(args: argparse.Namespace) -> None:
    """Before any work: ValueError for a wrong ending, ImportError where matplotlib is missing."""
    for ending, path in ((".png", args.png), (".svg", args.svg)):
        if path is not None:
            if path.suffix != ending:
                raise ValueError(f"expected a file that ends in {ending}, got {path}")
            check_path(path)
            new_figure(1, 1, (1.0, 1.0))


def _has_blocks() -> bool:
    try:
        SHADES.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
