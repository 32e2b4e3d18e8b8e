"""npgpt convert: write a model in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .parser import seed_number

# what llm.c's own script writes
STATE_BATCH, STATE_LENGTH = 4, 64

EPILOG = """\
examples:
  npgpt convert openai/124M my-gpt2                  to Hugging Face's form
  npgpt convert runs/python-docs my-model            a run's newest checkpoint
  npgpt convert gpt2 gpt2_124M.bin --to llmc         llm.c's file
  npgpt convert gpt2 book.safetensors --to book      the book's names, one file
  npgpt convert gpt2 m.bin --to llmc --state m_debug_state.bin

SRC may be any form npgpt reads: a run of npgpt train or one of its checkpoints,
a Hugging Face folder or its file, OpenAI's TensorFlow checkpoint, llm.c's .bin,
safetensors with the book's names, or the name of pulled weights. A run's
tokenizer does not go with it.
"""


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "convert", help="write a model in another format", epilog=EPILOG,
        description="Read a model in whatever form and write it in another.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("src", help="the model to read")
    parser.add_argument("dst", type=Path, help="what to write: a folder, a .safetensors or a .bin")
    parser.add_argument("--to", choices=("hf", "llmc", "book"), default="hf",
                        help="Hugging Face (default), llm.c, or the book's names")
    parser.add_argument("--dtype", choices=("float32", "float64"),
                        help="default: as stored, half precision widened to float32")
    parser.add_argument("--state", type=Path, metavar="FILE",
                        help="with --to llmc: also llm.c's debug state, of random tokens")
    parser.add_argument("--seed", type=seed_number, default=0, help="of those tokens (default 0)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert; prints what was written."""
    from ..training.checkpoint import is_run, newest_checkpoint
    from ..weights import convert

    if args.state is not None and args.to != "llmc":
        raise ValueError("--state belongs to --to llmc")
    if args.state is not None and args.state.resolve() in (
        args.dst.resolve(), Path(args.src).resolve()
    ):
        raise ValueError(f"--state {args.state} is one of SRC and DST; name another file")
    if is_run(args.dst):
        raise ValueError(f"{args.dst} is a run of npgpt train; name another place")
    src = newest_checkpoint(Path(args.src)) if is_run(Path(args.src)) else args.src
    config = convert(src, args.dst, args.to, args.dtype)
    layers = f"{config.n_layer} layers, {config.n_head} heads, {config.n_embd} channels"
    print(f"{args.dst}: {layers}")
    if args.state is not None:
        _write_state(args)
    return 0


def _write_state(args: argparse.Namespace) -> None:
    import numpy as np

    from ..fast.ops import FAST as ops
    from ..gpt2 import GPT2
    from ..weights import load, save_llmc_state

    # from the file just written: the state belongs to exactly those float32 numbers
    model = GPT2(*load(args.dst), ops=ops)
    length = min(STATE_LENGTH, model.config.n_positions)
    rng = np.random.default_rng(args.seed)
    tokens = rng.integers(0, model.config.vocab_size, (STATE_BATCH, length + 1))
    ids, targets = tokens[:, :-1], tokens[:, 1:]
    loss, grads = model.loss_and_grads(ids, targets)
    save_llmc_state(
        args.state, model.config, ids, targets, model.logits(ids), loss, grads
    )
    print(f"{args.state}: batch {STATE_BATCH}, length {length}, loss {loss:.6f}")
