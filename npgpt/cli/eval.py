"""npgpt eval: loss and perplexity of a model on any text, or its answers to questions."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ..evaluation.choices import read_questions, score_questions
from ..evaluation.text import score_text
from ..generation.quantized import dequantize, quantize
from ..gpt2 import GPT2
from ..opening import open_model
from ..params import Params
from ..text import Tokenizer
from ..training.step.gradients import batches_at_a_time
from ..weights import CheckpointError
from .console import bar, note
from .options import add_threads, use_threads
from .parser import Parser
from .texts import add_model_and_text, load_text

DESCRIPTION = "Loss in nats per token, perplexity and bits per byte of a model on a text."
EPILOG = """\
examples:
  npgpt eval runs/python-docs                   on its held-out text
  npgpt eval runs/python-docs my-text.txt       on any file or folder
  npgpt eval gpt2/ my-text.txt --stride 512     every token sees at least 512
  npgpt eval gpt2/ my-text.txt --int8           what rounding to 8 bits costs
  npgpt eval gpt2/ --questions hellaswag.jsonl  accuracy on multiple choice
"""

# tokens decoded at once: the corpus may be larger than memory
BLOCK = 1 << 20


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    add_model_and_text(parser)
    parser.add_argument("--stride", type=int, metavar="N",
                        help="how far the window moves (default: the context, no overlap)")
    parser.add_argument("--batch-size", type=int, default=16, metavar="B",
                        help="windows read together (default 16)")
    parser.add_argument("--questions", type=Path, metavar="FILE",
                        help="multiple choice in HellaSwag's format: JSON lines with ctx, endings "
                             "and label")
    parser.add_argument("--int8", action="store_true",
                        help="round the weights to 8 bits, as `npgpt generate --int8` does")
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Print the scores."""
    if args.questions is not None and args.text is not None:
        raise ValueError("got both a TEXT and --questions; expected one of them")
    use_threads(args.threads)
    model, tokenizer = open_model(args.model)
    params = dequantize(quantize(model.params, model.config)) if args.int8 else model.params
    if args.questions is not None:
        return _score_questions(args.questions, model, params, tokenizer)
    return _score_text(args, model, params, tokenizer)


def _score_text(
    args: argparse.Namespace, model: GPT2, params: Params, tokenizer: Tokenizer
) -> int:
    if str(args.text).endswith(".jsonl"):
        note(f"{args.text} is scored as plain text; for multiple choice use --questions FILE")
    text = load_text(args, tokenizer)
    with bar("token", len(text.tokens)) as shown:
        score = score_text(
            params, model.config, text.tokens, stride=args.stride, batch_size=args.batch_size,
            start_id=tokenizer.eot_id if text.split == "all" else None, ops=model.ops,
            workers=batches_at_a_time(model.config, args.batch_size, model.config.n_positions),
            on_progress=lambda done, count: shown.update(done - shown.n),
        )
    if not math.isfinite(score.nats):
        raise CheckpointError(f"{args.model} gives a loss of {score.nats}: its weights overflow")
    n_bytes = sum(len(tokenizer.decode_bytes(text.tokens[start:start + BLOCK]))
                  for start in range(0, len(text.tokens), BLOCK))
    print(f"text            {text.name} ({text.split})")
    print(f"tokens scored   {score.tokens:,}")
    print(f"loss            {score.loss:.4f} nats per token")
    print(f"perplexity      {score.perplexity:.3f}")
    print(f"bits per byte   {score.bits_per_byte(n_bytes):.4f}")
    return 0


def _score_questions(path: Path, model: GPT2, params: Params, tokenizer: Tokenizer) -> int:
    with bar("question") as shown:
        score = score_questions(params, model.config, read_questions(path), tokenizer.encode,
                                ops=model.ops, on_progress=lambda so_far: shown.update())
    print(f"questions       {score.questions:,}")
    print(f"accuracy        {score.accuracy:.2%} by summed log-probability")
    print(f"                {score.accuracy_by_length:.2%} by log-probability per token")
    return 0
