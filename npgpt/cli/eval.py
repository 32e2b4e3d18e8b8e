"""npgpt eval: loss and perplexity of a model on any text, or its answers to questions."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from .parser import add_model_and_text, add_threads, use_threads

EPILOG = """\
examples:
  npgpt eval runs/python-docs                   on the text it held back
  npgpt eval runs/python-docs my-text.txt       on any file or folder
  npgpt eval gpt2/ my-text.txt --stride 512     every token sees at least 512
  npgpt eval gpt2/ my-text.txt --int8           what rounding to 8 bits costs
  npgpt eval gpt2/ --questions hellaswag.jsonl  accuracy on multiple choice
"""

BLOCK = 1 << 20


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "eval", help="loss and perplexity of a model on any text", epilog=EPILOG,
        description="Loss in nats per token, perplexity and bits per byte.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_and_text(parser)
    parser.add_argument("--stride", type=int, metavar="N",
                        help="how far the window moves (default: the context, no overlap)")
    parser.add_argument("--batch-size", type=int, default=16, metavar="B",
                        help="windows read together (default 16)")
    parser.add_argument("--questions", type=Path, metavar="FILE",
                        help="multiple choice in HellaSwag's form: JSON lines with ctx, endings, "
                             "label")
    parser.add_argument("--int8", action="store_true",
                        help="with the weights rounded to 8 bits, as `npgpt generate --int8` does")
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the scores."""
    use_threads(args.threads)
    if args.questions is not None:
        if args.text is not None:
            raise ValueError("a text was given and --questions too; one of them is enough")
        return _questions(args, *_open(args))
    return _text(args, *_open(args))


def _open(args: Any) -> tuple[Any, Any]:
    from ..gpt2 import open_model

    model, tokenizer = open_model(args.model)
    if args.int8:
        from ..generation.quantized import dequantize, quantize

        model.params = dequantize(quantize(model.params, model.config))
    return model, tokenizer


def _text(args: Any, model: Any, tokenizer: Any) -> int:
    from tqdm import tqdm

    from ..evaluation.text import score_text
    from ..text import load_corpus
    from ..training.step.gradients import batches_at_a_time
    from ..weights import CheckpointError

    name, fraction, split = which_text(args)
    if str(name).endswith(".jsonl"):
        print(f"npgpt: {name} is scored as plain text; for multiple choice use --questions {name}",
              file=sys.stderr)
    corpus = load_corpus(name, tokenizer, fraction,
                         say=lambda note: print(f"npgpt: {note}", file=sys.stderr))
    # all of it is the training part where nothing is held back
    ids = corpus.val if split == "val" else corpus.train
    # in blocks: the corpus may be larger than memory
    n_bytes = sum(len(tokenizer.decode_bytes(ids[start:start + BLOCK]))
                  for start in range(0, len(ids), BLOCK))
    with tqdm(total=len(ids), unit="token", unit_scale=True, disable=None, leave=False) as bar:
        def tell(done: int, count: int) -> None:
            bar.update(done - bar.n)

        score = score_text(
            model.params, model.config, ids, stride=args.stride, batch_size=args.batch_size,
            start_id=tokenizer.eot_id if split == "all" else None, ops=model.ops,
            together=batches_at_a_time(model.config, args.batch_size, model.config.n_positions),
            on_progress=tell,
        )
    if not math.isfinite(score.nats):
        raise CheckpointError(f"{args.model} gives a loss of {score.nats}: its weights overflow")
    print(f"text            {corpus.name} ({split})")
    print(f"tokens scored   {score.tokens:,}")
    print(f"loss            {score.loss:.4f} nats per token")
    print(f"perplexity      {score.perplexity:.3f}")
    print(f"bits per byte   {score.bits_per_byte(n_bytes):.4f}")
    return 0


def _questions(args: Any, model: Any, tokenizer: Any) -> int:
    from tqdm import tqdm

    from ..evaluation.text import read_questions, score_questions

    with tqdm(unit="question", disable=None, leave=False) as bar:
        def tell(so_far: Any) -> None:
            bar.update()

        score = score_questions(model.params, model.config, read_questions(args.questions),
                                tokenizer.encode, ops=model.ops,
                                on_progress=tell)
    print(f"questions       {score.questions:,}")
    print(f"accuracy        {score.accuracy:.2%} by summed log-probability")
    print(f"                {score.accuracy_by_length:.2%} by log-probability per token")
    return 0


def which_text(args: Any) -> tuple[str, float, str]:
    """Name of the text, the fraction held back, and the split to score."""
    from ..training.checkpoint import FOLDER, RUN_FILE, newest_checkpoint, read_record

    of_run = (args.model / FOLDER).is_dir() or (args.model / RUN_FILE).is_file()
    if of_run:
        data = read_record(newest_checkpoint(args.model))["run"]["data"]
        if args.text is None or args.text == data["corpus"]:
            split = args.split or "val"
            return data["corpus"], 0.0 if split == "all" else data["val_fraction"], split
    if args.text is None:
        raise ValueError("say which text: these weights have no corpus of their own")
    if args.split in (None, "all"):
        return args.text, 0.0, "all"
    return args.text, 0.1, args.split
