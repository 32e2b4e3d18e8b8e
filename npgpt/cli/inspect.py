"""npgpt inspect: what a model is and costs, before anything is allocated."""

from __future__ import annotations

import argparse
import difflib
import math
from pathlib import Path
from typing import Any

from ..config import SIZES, GPT2Config

EPILOG = """\
examples:
  npgpt inspect gpt2-xl              one of GPT-2's four sizes
  npgpt inspect gpt2 --untied        with an output matrix of its own
  npgpt inspect shakespeare-char     a preset of npgpt train
  npgpt inspect my-run.toml          a config file of npgpt train
  npgpt inspect runs/python-docs     a run, a checkpoint, or published weights
"""


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "inspect", help="configuration, parameters, memory and FLOPs of a model", epilog=EPILOG,
        description="Show a model's configuration, parameter table, memory and FLOPs per token.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", help=f"{', '.join(SIZES)}, a preset, a .toml or .json file, a run, "
                                     "a checkpoint or a folder of weights")
    parser.add_argument("--untied", action="store_true", help="with an output matrix of its own")
    parser.add_argument("--vocab-size", type=int, metavar="N",
                        help="for a preset or .toml by characters (default: count its corpus)")
    parser.add_argument("--batch-size", type=int, metavar="B",
                        help="of the training step whose peak memory is told")
    parser.add_argument("--length", type=int, metavar="T", help="its sequence length")
    parser.add_argument("--recompute", action="store_true",
                        help="as if each block's activations were computed again in the backward")
    parser.add_argument("--all", action="store_true", help="every block's parameters, not one's")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print config, parameter table and cost."""
    from ..params import budget, parameter_shapes
    from ..training.step.gradients import peak_memory

    config, run_config = _config(args)
    train = run_config.train if run_config else None
    batch, length = (train.batch_size, run_config.sequence_length) if train else (1, 0)
    recompute = args.recompute or bool(train and train.recompute)
    summed = train.grad_accumulation if train else 1
    if args.untied:
        config = config.replace(tie_word_embeddings=False)
    batch = batch if args.batch_size is None else args.batch_size
    length = length or config.n_positions if args.length is None else args.length
    for name, value in (("--batch-size", batch), ("--length", length)):
        if value < 1:
            raise ValueError(f"{name} {value} must be at least 1")
    if length > config.n_positions:
        raise ValueError(f"--length {length} is more than n_positions={config.n_positions}")

    print(f"{args.what}\n")
    for name, value in config.to_dict().items():
        print(f"  {name:22} {config.inner if name == 'n_inner' else value}")
    print(f"\n  {'parameter':28} {'shape':>14} {'numbers':>15}")
    for name, shape in parameter_shapes(config).items():
        hidden = not args.all and name.startswith("h.") and not name.startswith("h.0.")
        if not hidden:
            text = " x ".join(f"{n}" for n in shape)
            print(f"  {name:28} {text:>14} {math.prod(shape):>15,}")
        elif name == next(n for n in parameter_shapes(config) if n.startswith("h.1.")):
            print(f"  {'h.1 ... h.' + str(config.n_layer - 1):28} {'as h.0':>14}")
    cost = budget(config)
    double = budget(config, "float64")
    print(f"\n  parameters             {cost.parameters:,}")
    print(f"  memory, float32        {_bytes(cost.parameter_bytes)}   "
          f"(float64 {_bytes(double.parameter_bytes)})")
    print(f"  with gradients and AdamW's moments   {_bytes(cost.training_bytes)}")
    peak = peak_memory(config, batch, length, recompute=recompute, grad_accumulation=summed)
    times = f"{summed} times " if summed > 1 else ""
    again = ", recomputing" if recompute else ""
    print(f"  peak of a training step, {times}batch {batch} x {length}{again}   {_bytes(peak)}")
    print(f"  FLOPs per token        {_flops(cost.flops_per_token)} forward, "
          f"{_flops(cost.training_flops_per_token)} with backward, at context "
          f"{config.n_positions}")
    return 0


def _config(args: argparse.Namespace) -> tuple[GPT2Config, Any]:
    """The config, and the settings that it would be trained with, or None."""
    from ..training.settings import PRESETS, resolve

    path = Path(args.what)
    if args.vocab_size is not None and path.suffix != ".toml" and (
            args.what in SIZES or args.what not in PRESETS):
        raise ValueError(f"--vocab-size belongs to a preset or a .toml, not to {args.what}")
    if args.what in SIZES:
        return (GPT2Config.named(args.what),
                resolve(args.what) if args.what in PRESETS else None)
    if path.suffix == ".toml" or args.what in PRESETS:
        run = resolve(file=path) if path.suffix == ".toml" else resolve(args.what)
        return run.model_config(_vocab_size(args, run)), run
    if path.suffix == ".json":
        from ..weights.huggingface import read_config

        return read_config(path), None
    if not path.exists():
        names = ", ".join([*SIZES, *(name for name in PRESETS if name not in SIZES)])
        close = difflib.get_close_matches(args.what, [*SIZES, *PRESETS], n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{args.what!r} is no size, preset or path{hint}; there are {names}")
    from .. import weights
    from ..training.checkpoint import is_run, newest_checkpoint, read_record
    from ..training.settings import build

    if is_run(path):
        folder = newest_checkpoint(path)
        run = build(read_record(folder)["run"])
        return weights.load(folder)[0], run
    return weights.load(path)[0], None


def _vocab_size(args: argparse.Namespace, run: Any) -> int:
    if args.vocab_size is not None:
        return int(args.vocab_size)
    from ..text import load_corpus

    corpus = load_corpus(run.data.corpus, run.data.tokenizer, run.data.val_fraction)
    return int(corpus.tokenizer.vocab_size)


def _bytes(n: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:,.2f} {unit}"
        n /= 1024
    raise AssertionError


def _flops(n: float) -> str:
    for unit in ("", " k", " M", " G"):
        if n < 1000 or unit == " G":
            return f"{n:.3g}{unit}"
        n /= 1000
    raise AssertionError
