"""npgpt convert: write a model in another format."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..gpt2 import GPT2
from ..training.checkpoint import is_run, labels_of, sound_weights
from ..training.held_out import opened_checkpoint
from ..weights import convert, load, save_llmc_state
from ..weights.writing import FORMS
from .console import note
from .options import add_base, add_seed, use_base
from .parser import Parser

# of the debug state, as llm.c's own script writes it
STATE_BATCH, STATE_LENGTH = 4, 64

DESCRIPTION = "Read a model in any format and write it in another."
EPILOG = """\
examples:
  npgpt convert openai/124M my-gpt2                  to Hugging Face's format
  npgpt convert runs/python-docs my-model            a run's newest checkpoint
  npgpt convert runs/lora my-model --merge           low-rank updates folded in
  npgpt convert runs/lora my-adapter --to peft       low-rank updates alone
  npgpt convert gpt2 gpt2_124M.bin --to llmc         llm.c's file
  npgpt convert gpt2 book.safetensors --to book      the book's names, one file
  npgpt convert gpt2 m.bin --to llmc --state m_debug_state.bin

SRC may be any format npgpt reads: a run of npgpt train or one of its
checkpoints, a Hugging Face folder or its file, OpenAI's TensorFlow checkpoint,
llm.c's .bin, safetensors with the book's names, or the name of pulled weights.
hf and npgpt write the tokenizer too. hf is a folder that transformers loads;
what it cannot compute is rejected: a model without norms, SwiGLU, ...
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("src", metavar="SRC", help="the model to read")
    parser.add_argument("dst", metavar="DST", type=Path,
                        help="what to write: a folder, a .safetensors or a .bin")
    parser.add_argument("--to", choices=FORMS, default="hf",
                        help="Hugging Face (default), the same for npgpt alone, llm.c, the "
                             "book's names, or low-rank updates alone, for PEFT")
    add_base(parser)
    parser.add_argument("--dtype", choices=("float32", "float64"),
                        help="default: as stored, half precision widened to float32")
    parser.add_argument("--merge", action="store_true",
                        help="fold low-rank updates (LoRA) into the weights")
    parser.add_argument("--state", type=Path, metavar="FILE",
                        help="with --to llmc: also llm.c's debug state, for random tokens")
    add_seed(parser, 0, "of those random tokens (default 0)")


def run(args: argparse.Namespace) -> int:
    """Convert; prints what was written."""
    src, dst, state = Path(args.src), args.dst, args.state
    if state is not None and args.to != "llmc":
        raise ValueError("--state belongs to --to llmc")
    if state is not None and state.resolve() in (dst.resolve(), src.resolve()):
        raise ValueError(f"--state {state} is one of SRC and DST; name another file")
    if is_run(dst):
        raise ValueError(f"{dst} is a run of npgpt train; name another place")
    # a plain string may be the name of pulled weights
    file, tokenizer = args.src, None
    if is_run(src):
        with use_base(args.base, src):
            file, tokenizer = sound_weights(opened_checkpoint(src))
    labels = labels_of(src) if is_run(src) else ()
    config = convert(file, dst, args.to, args.dtype, args.merge, tokenizer, labels, note,
                     args.base)
    print(f"{dst}: {config.n_layer} layers, {config.n_head} heads, {config.n_embd} channels")
    if state is not None:
        _write_state(dst, state, args.seed)
    return 0


def _write_state(weights: Path, state: Path, seed: int) -> None:
    # from the file just written: the state belongs to exactly those float32 weights
    model = GPT2(*load(weights))
    length = min(STATE_LENGTH, model.config.n_positions)
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, model.config.vocab_size, (STATE_BATCH, length + 1))
    ids, targets = tokens[:, :-1], tokens[:, 1:]
    loss, grads = model.loss_and_grads(ids, targets)
    save_llmc_state(state, model.config, ids, targets, model.logits(ids), loss, grads)
    print(f"{state}: batch {STATE_BATCH}, length {length}, loss {loss:.6f}")
