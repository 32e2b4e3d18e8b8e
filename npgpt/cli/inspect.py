"""npgpt inspect: what a model is and costs, before anything is allocated."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NamedTuple

from .. import variants, weights
from ..budget import budget
from ..config import SIZES, GPT2Config
from ..display.terminal import bytes_text, count_text
from ..ids import check_integer
from ..params import parameter_shapes
from ..suggest import unknown
from ..text import load_corpus
from ..training.checkpoint import (
    build_run,
    is_run,
    newest_checkpoint,
    read_record,
    read_weights,
)
from ..training.settings import PRESETS, RunConfig, resolve
from ..training.step.memory import peak_memory
from ..training.step.rank_cost import rank_cost
from ..weights.hub import found
from ..weights.huggingface import read_config
from .options import add_base, use_base
from .parser import Parser

DESCRIPTION = "Show a model's configuration, parameters, memory and FLOPs per token."
EPILOG = """\
examples:
  npgpt inspect gpt2-xl              one of GPT-2's four sizes
  npgpt inspect gpt2 --untied        with an output matrix of its own
  npgpt inspect shakespeare-char     a preset of npgpt train
  npgpt inspect my-run.toml          a config file of npgpt train
  npgpt inspect runs/python-docs     a run, a checkpoint, or published weights
  npgpt inspect gpt2 --ranks 4       what each rank of a training over MPI needs
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("what", metavar="MODEL",
                        help=f"{', '.join(SIZES)}, a preset, a .toml or .json file, a run, "
                             "a checkpoint or a folder of weights")
    add_base(parser)
    parser.add_argument("--untied", action="store_true", help="with an output matrix of its own")
    parser.add_argument("--vocab-size", type=int, metavar="N",
                        help="for a preset or .toml by characters (default: count its corpus)")
    parser.add_argument("--batch-size", type=int, metavar="B",
                        help="sequences of the training step whose peak memory is predicted")
    parser.add_argument("--length", type=int, metavar="T",
                        help="tokens of each (default: as trained, or the context)")
    parser.add_argument("--recompute", action="store_true",
                        help="predict for activation checkpointing")
    parser.add_argument("--ranks", type=int, metavar="N",
                        help="predict memory and bytes sent of each rank of train --mpi")
    parser.add_argument("--all", action="store_true",
                        help="list every block's parameters, not only the first one's, and the "
                             "variants that are off")


def run(args: argparse.Namespace) -> int:
    """Print config, parameter table and cost."""
    with use_base(args.base, args.what):
        config, training = _model(args)
    if args.untied:
        config = config.replace(tie_word_embeddings=False)
    step = _step(args, config, training)
    over_ranks = [] if args.ranks is None else _rank_lines(args, config, step)
    print(f"{args.what}\n")
    plain = GPT2Config().to_dict()
    for name, value in config.to_dict().items():
        if args.all or name not in variants.settings() or value != plain[name]:
            print(f"  {name:22} {config.inner if name == 'n_inner' else value}")
    _print_parameters(config, args.all)
    cost, double = budget(config), budget(config, "float64")
    for label, value in (
        ("parameters", f"{cost.parameters:,}"),
        ("memory", f"{bytes_text(cost.parameter_bytes)} in float32, "
                   f"{bytes_text(double.parameter_bytes)} in float64"),
        ("memory to train", f"{bytes_text(cost.training_bytes)} with gradients and AdamW's "
                            f"moments"),
        ("peak of training", _peak_of_training(config, step)),
        ("FLOPs per token", f"{count_text(cost.flops_per_token)} forward, "
                            f"{count_text(cost.training_flops_per_token)} with backward, at "
                            f"context {config.n_positions}"),
    ):
        print(f"  {label:22} {value}")
    print(*over_ranks, sep="\n", end="\n" * bool(over_ranks))
    return 0


def _print_parameters(config: GPT2Config, every_block: bool) -> None:
    print(f"\n  {'parameter':28} {'shape':>14} {'elements':>15}")
    # blocks that are not listed need no names
    listed = config if every_block else config.replace(n_layer=min(config.n_layer, 2))
    shapes = parameter_shapes(listed)
    others = [name for name in shapes if name.startswith("h.") and not name.startswith("h.0.")]
    for name, shape in shapes.items():
        if every_block or name not in others:
            print(f"  {name:28} {' x '.join(map(str, shape)):>14} {math.prod(shape):>15,}")
        elif name == others[0]:
            last = config.n_layer - 1
            print(f"  {'h.1' if last == 1 else f'h.1 to h.{last}':28} {'as h.0':>14}")
    print()


class _Step(NamedTuple):
    """A training step: sequences, tokens of each, batches accumulated."""

    batch: int
    length: int
    summed: int
    recompute: bool


def _step(args: argparse.Namespace, config: GPT2Config, training: RunConfig | None) -> _Step:
    """The step that is trained, as far as it is known, with what the options change."""
    batch, length, summed, recompute = 1, config.n_positions, 1, False
    if training is not None:
        batch, length = training.train.batch_size, training.sequence_length
        summed, recompute = training.train.grad_accumulation, training.train.recompute
    if args.batch_size is not None:
        batch = check_integer("--batch-size", args.batch_size, 1)
    if args.length is not None:
        length = check_integer("--length", args.length, 1, config.n_positions)
    return _Step(batch, length, summed, recompute or args.recompute)


def _peak_of_training(config: GPT2Config, step: _Step) -> str:
    """The peak memory of a training step, and of what kind of step."""
    peak = peak_memory(config, step.batch, step.length, recompute=step.recompute,
                       grad_accumulation=step.summed)
    text = f"{bytes_text(peak)} in a step of {step.batch} x {step.length} tokens"
    extras = [f"{step.summed} batches accumulated"] if step.summed > 1 else []
    extras += ["activation checkpointing"] if step.recompute else []
    return f"{text},\n{'':25}{', '.join(extras)}" if extras else text


def _rank_lines(args: argparse.Namespace, config: GPT2Config, step: _Step) -> list[str]:
    """What each of --ranks needs and sends."""
    ranks = check_integer("--ranks", args.ranks, 1)
    batch = step.batch
    if args.batch_size is None and batch < ranks:
        # no batch was asked for: the smallest one that so many ranks can train
        batch = ranks
    cost = rank_cost(config, batch, step.length, ranks, recompute=step.recompute,
                     grad_accumulation=step.summed)
    whole, moments = bytes_text(cost.gradients), bytes_text(2 * cost.gradients)
    summed, updated, exchanged = "", "", "nothing"
    if ranks > 1:
        summed = f", and {bytes_text(cost.summed)} for its part of their sum"
        updated = f"{bytes_text(cost.moments)}, 1/{ranks} of "
        exchanged = (f"{bytes_text(cost.sent)}: reduce-scatter and gather, each "
                     f"{ranks - 1}/{ranks} of {whole}")
    rows = [
        ("parameters", whole),
        ("gradients", whole + summed),
        ("AdamW's moments", updated + moments),
        ("activations", f"{bytes_text(cost.activations)} at the end of forward"),
        ("peak", f"{bytes_text(cost.peak)} at the highest moment of a step"),
        ("sent in a step", exchanged),
    ]
    return [f"\n  a rank of {ranks}, with {cost.sequences} of {batch} sequences of "
            f"{step.length} tokens", *(f"  {label:22} {value}" for label, value in rows)]


def _model(args: argparse.Namespace) -> tuple[GPT2Config, RunConfig | None]:
    """The config, and the settings that it would be trained with, if any are known."""
    what, path = args.what, Path(args.what)
    trained = what in PRESETS and what not in SIZES or path.suffix == ".toml"
    if args.vocab_size is not None and not trained:
        raise ValueError(f"--vocab-size belongs to a preset or a .toml, not to {what}")
    if what in SIZES:
        return GPT2Config.named(what), resolve(what) if what in PRESETS else None
    if trained:
        training = resolve(file=path) if path.suffix == ".toml" else resolve(what)
        if args.vocab_size is not None:
            return training.model_config(args.vocab_size), training
        data = training.data
        tokenizer = load_corpus(data.corpus, data.tokenizer, data.val_fraction,
                                special=data.special).tokenizer
        return training.model_config(tokenizer.vocab_size), training
    if path.suffix == ".json":
        return read_config(path), None
    if is_run(path):
        folder = newest_checkpoint(path)
        record = read_record(folder)
        return read_weights(folder, record)[0], build_run(folder, record)
    if path.exists() or found(what):
        return weights.load(path)[0], None
    raise unknown("model or path", what, dict.fromkeys([*SIZES, *PRESETS]))
