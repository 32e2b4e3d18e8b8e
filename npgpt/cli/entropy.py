"""npgpt entropy: how widely every attention head looks around, as tables and a heat map."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from .eval import which_text
from .parser import add_model_and_text

EPILOG = """\
Entropy is in nats, averaged over positions and sequences: 0 looks at one
position, the causal bound ln(T!) / T at all of them alike. A sink is the weight
on the first position. `npgpt train --watch entropy` writes the same to a run's
log as it trains.

examples:
  npgpt entropy runs/python-docs                on the text it held back
  npgpt entropy gpt2/ my-text.txt --length 256 --sequences 4
  npgpt entropy runs/python-docs --png heads.png    needs npgpt[plot]
"""
# heads in one line of a table
ACROSS = 12


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "entropy", help="attention entropy of every head, and the residual stream's growth",
        description="Attention entropy of every layer and head on a text.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_and_text(parser)
    parser.add_argument("--length", type=int, metavar="T",
                        help="tokens of a sequence (default: the context)")
    parser.add_argument("--sequences", type=int, default=8, metavar="N",
                        help="how many, spread evenly over the text (default 8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the heat map")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="the same as SVG")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write what was asked for."""
    from ..gpt2 import open_model
    from ..probe.activity import measure
    from ..probe.heatmap import heat_picture, heat_text

    _check(args)
    model, tokenizer = open_model(args.model)
    length = model.config.n_positions if args.length is None else args.length
    if not 1 <= length <= model.config.n_positions:
        raise ValueError(f"--length {length} does not fit; 1 to {model.config.n_positions} do, "
                         f"the model's context")
    name, ids, targets = _sequences(args, tokenizer, length)
    seen = measure(model.params, model.config, ids, targets)
    print(f"text       {name}")
    print(f"sequences  {len(ids)}, of T = {length}")
    print(entropy_text(seen))
    colour = args.color == "always" or (
        args.color == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    print("\n" + heat_text(seen.nats, seen.bound, colour=colour, ascii_only=not _has_blocks()))
    if args.json is not None:
        from ..files import replacing_file

        with replacing_file(args.json) as beside:
            beside.write_text(entropy_json(seen, str(args.model), name) + "\n", encoding="utf-8")
        print(f"\nnumbers: {args.json}")
    # names without their folders: a title has one line
    title = f"{args.model.absolute().name} on {Path(name).name}"
    for path in (args.png, args.svg):
        if path is not None:
            from ..display.drawing import save

            save(heat_picture(seen.nats, seen.bound, length, title), path)
            print(f"\npicture: {path}")
    return 0


def entropy_text(seen: Any) -> str:
    """The tables of an Activity, in lines of 80 columns at most."""
    from ..probe.entropy import COLLAPSE, greatest, quartiles, uniform_sink

    bound, (n_layer, n_head) = seen.bound, seen.nats.shape
    lines = [f"bound      {bound:.4f} nats = ln(T!) / T"]
    for title, values, form in (
            ("entropy in nats", seen.nats, "6.2f"),
            ("as a share of the bound, %", 100 * seen.nats / bound, "6.0f")):
        for first in range(0, n_head, ACROSS):
            heads = range(first, min(first + ACROSS, n_head))
            lines += ["", title, "layer".ljust(6) + "".join(f"{f'h{h}':>6}" for h in heads)]
            lines += [f"{i:<6}" + "".join(format(values[i, h], form) for h in heads)
                      for i in range(n_layer)]
    lines += ["", "layer      mean   share    sink   most   stream rms   units at 0  saturated",
              f"{'input':<6}{'':34}{seen.stream[0]:12.4g}"]
    for i in range(n_layer):
        mean, sink = seen.nats[i].mean(), seen.sink[i]
        units = seen.units[i]
        lines.append(f"{i:<6}{mean:9.3f}{mean / bound:8.1%}{sink.mean():8.3f}{sink.max():7.3f}"
                     f"{seen.stream[i + 1]:14.4g}{units.zeros:12.1%}{units.saturated:11.1%}")
    lines += ["", "heads by quarter of     0-1/4   -1/2   -3/4     -1"
                  f"   collapse: below {COLLAPSE:.0%}"]
    largest = greatest(seen.nats)
    for what, top in (("the bound", bound), ("greatest seen", largest)):
        if not top > 0.0:
            lines.append(f"  {what}: {top:.3f}, so there are no quarters")
            continue
        found = quartiles(seen.nats, top)
        lines.append(f"  {what:<13} {top:6.3f} " + "".join(f"{s:7.0%}" for s in found.shares)
                     + f"{found.collapse:11.0%}")
    if seen.length > 1:
        lines.append(f"sink of evenly spread attention: {uniform_sink(seen.length):.3f}")
    lines.append(f"NaN        {seen.nan_heads} of {n_layer * n_head} heads; "
                 f"{seen.nan:,} NaN and {seen.inf:,} infinities among the activations")
    if seen.first_break:
        lines.append(f"           the first to break is {seen.first_break}")
    growth = seen.stream[-1] / seen.stream[0] if seen.stream[0] else float("nan")
    lines.append(f"growth     the residual stream's rms grows {growth:.3g} times, from "
                 f"{seen.stream[0]:.3g} to {seen.stream[-1]:.3g}")
    return "\n".join(lines)


def entropy_json(seen: Any, checkpoint: str, text: str) -> str:
    """Every number of an Activity as JSON; what is not finite is text."""
    from dataclasses import asdict

    from ..probe.entropy import greatest, quartiles, uniform_sink
    from ..training.log import plain

    largest = greatest(seen.nats)
    return json.dumps(plain({
        "checkpoint": checkpoint, "text": text, "length": seen.length,
        "sequences": seen.sequences, "bound": seen.bound,
        "nats": seen.nats.tolist(), "share": (seen.nats / seen.bound).tolist(),
        "layer_mean": seen.nats.mean(axis=1).tolist(),
        "sink": seen.sink.tolist(), "uniform_sink": uniform_sink(seen.length),
        "quartiles": {
            name: quartiles(seen.nats, top)._asdict() if top > 0.0 else None
            for name, top in (("of_bound", seen.bound), ("of_greatest", largest))},
        "stream": seen.stream, "units": [asdict(units) for units in seen.units],
        "nan_heads": seen.nan_heads, "nan": seen.nan, "inf": seen.inf,
        "first_break": seen.first_break,
    }), allow_nan=False, indent=1)


def _sequences(args: Any, tokenizer: Any, length: int) -> tuple[str, Any, Any]:
    """The text's name, and ids and targets (N, T) from places spread evenly over it."""
    from ..evaluation.text import evaluation_batches
    from ..text import load_corpus

    name, fraction, split = which_text(args)
    corpus = load_corpus(name, tokenizer, fraction,
                         say=lambda note: print(f"npgpt: {note}", file=sys.stderr))
    tokens = corpus.val if split == "val" else corpus.train
    corpus.require(length + 1, tokens)
    ids, targets = next(evaluation_batches(tokens, args.sequences, length, 1))
    return f"{corpus.name} ({split})", ids, targets


def _check(args: argparse.Namespace) -> None:
    """ValueError for what does not fit, before any work is done."""
    if args.sequences < 1:
        raise ValueError(f"--sequences {args.sequences} does not fit; at least 1 is needed")
    for option, path in (("png", args.png), ("svg", args.svg)):
        if path is not None:
            from ..display.drawing import check_path, new_figure

            if path.suffix != f".{option}":
                raise ValueError(f"--{option} writes a .{option} file; got {path}")
            check_path(path)
            new_figure(1, 1, (1.0, 1.0))        # says so now where matplotlib is missing


def _has_blocks() -> bool:
    from ..probe.heatmap import SHADES

    try:
        SHADES.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
