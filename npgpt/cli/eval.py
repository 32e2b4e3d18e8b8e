"""npgpt eval: loss and perplexity of a model on any text, or its score in a benchmark."""

from __future__ import annotations

import argparse
import logging
import math
from importlib import import_module
from pathlib import Path
from typing import cast

from ..evaluation.choices import read_questions, score_questions
from ..evaluation.last_word import read_passages, score_last_words
from ..evaluation.text import evaluation_batches, mean_loss, score_text
from ..generation.language_model import LanguageModel
from ..generation.streamed import STREAMED
from ..ids import check_integer
from ..opening import open_int8, open_model
from ..params import Params
from ..text import Tokenizer
from ..training.checkpoint import build_run, is_run, newest_checkpoint, read_record
from ..training.settings import RunConfig
from ..training.step.gradients import batches_at_a_time
from ..training.tasks import accuracy, load_task
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
  npgpt eval gpt2/ --questions hellaswag_val.jsonl
  npgpt eval gpt2/ --last-word lambada_test.jsonl
  npgpt eval gpt2/ --harness lambada_openai,hellaswag --limit 100

what is what:
  perplexity is exp(loss), per token: comparable only between models with the
  same tokenizer. Bits per byte are comparable between all: those of the scored
  text over its UTF-8 bytes; <|endoftext|> is not text and counts in neither.
  --questions compares the endings' log-probabilities in three ways: summed
  (the harness's acc), per token (build-nanogpt's acc_norm) and per character
  (the harness's acc_norm). --last-word gives lambada_openai's acc and
  perplexity. The harness is EleutherAI's lm-evaluation-harness; it downloads
  its tasks from the Hugging Face hub, or reads one of your own: a .yaml file.
"""


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
    parser.add_argument("--last-word", type=Path, metavar="FILE",
                        help="predict the last word of each passage, as LAMBADA: JSON lines with "
                             "text, or a passage a line")
    parser.add_argument("--harness", metavar="TASKS",
                        help="tasks of lm-evaluation-harness, separated by commas; needs "
                             "npgpt[harness]")
    parser.add_argument("--limit", type=int, metavar="N",
                        help="with --harness: only the first N documents of each task")
    parser.add_argument("--int8", action="store_true",
                        help="round the weights to 8 bits, as `npgpt generate --int8` does")
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Print the scores."""
    asked = [name for name, value in (
        ("a TEXT", args.text), ("--questions", args.questions), ("--last-word", args.last_word),
        ("--harness", args.harness)) if value is not None]
    if len(asked) > 1:
        raise ValueError(f"got both {asked[0]} and {asked[1]}; expected one of them")
    if args.limit is not None and args.harness is None:
        raise ValueError("--limit belongs to --harness")
    check_integer("--batch-size", args.batch_size, 1)
    use_threads(args.threads)
    model, tokenizer = (open_int8 if args.int8 else open_model)(args.model, args.base)
    if asked:
        model.check_writes()
    if args.harness is not None:
        return _run_harness(args, model, tokenizer)
    if args.int8:
        model.ops = STREAMED            # they take int8, and widen one matrix at a time
    params = cast(Params, model.params)
    if args.questions is not None:
        return _score_questions(args.questions, model, params, tokenizer)
    if args.last_word is not None:
        return _score_last_words(args, model, params, tokenizer)
    if args.text is None and is_run(args.model):
        folder = newest_checkpoint(args.model)
        settings = build_run(folder, read_record(folder))
        if settings.data.task != "text":
            return _score_examples(args, settings, model, params, tokenizer)
    return _score_text(args, model, params, tokenizer)


def _score_examples(
    args: argparse.Namespace, run: RunConfig, model: LanguageModel, params: Params,
    tokenizer: Tokenizer,
) -> int:
    """The held-out examples of a run that learned a task."""
    corpus = load_task(run.data, tokenizer, run.sequence_length)
    examples = corpus.train if args.split == "train" else corpus.val
    batches = evaluation_batches(examples, args.batch_size, run.sequence_length)
    loss = mean_loss(params, model.config, batches, ops=model.ops)
    print(f"examples        {len(examples):,} of {corpus.name} ({args.split or 'val'})")
    print(f"loss            {loss:.4f} nats per "
          f"{'label' if model.config.n_labels else 'token of the answers'}")
    if model.config.n_labels:
        print(f"accuracy        {accuracy(params, model.config, examples, model.ops):.2%}")
    return 0


def _score_text(
    args: argparse.Namespace, model: LanguageModel, params: Params, tokenizer: Tokenizer
) -> int:
    model.check_writes()
    if str(args.text).endswith(".jsonl"):
        note(f"{args.text} is scored as plain text; for multiple choice use --questions FILE")
    text = load_text(args, tokenizer)
    with bar("token", len(text.tokens)) as shown:
        score = score_text(
            params, model.config, text.tokens, stride=args.stride, batch_size=args.batch_size,
            start_id=tokenizer.eot_id if text.split == "all" else None,
            token_bytes=tokenizer.token_bytes, ops=model.ops,
            workers=batches_at_a_time(model.config, args.batch_size, model.config.n_positions),
            on_progress=lambda done, count: shown.update(done - shown.n),
        )
    if not math.isfinite(score.nats):
        raise CheckpointError(f"{args.model} gives a loss of {score.nats}: its weights overflow")
    print(f"text            {text.name} ({text.split})")
    print(f"tokens scored   {score.tokens:,}")
    print(f"loss            {score.loss:.4f} nats per token")
    print(f"perplexity      {score.perplexity:.3f} per token")
    if score.n_bytes:
        print(f"bits per byte   {score.bits_per_byte:.4f} over {score.n_bytes:,} bytes")
    else:
        print("bits per byte   none: no token stands for text")
    return 0


def _score_questions(path: Path, model: LanguageModel, params: Params, tokenizer: Tokenizer) -> int:
    with bar("question") as shown:
        score = score_questions(params, model.config, read_questions(path), tokenizer.encode,
                                ops=model.ops, on_progress=lambda so_far: shown.update())
    print(f"questions       {score.questions:,}")
    print(f"accuracy        {score.accuracy:.2%} by summed log-probability")
    print(f"                {score.accuracy_by_tokens:.2%} per token")
    print(f"                {score.accuracy_by_characters:.2%} per character")
    return 0


def _score_last_words(
    args: argparse.Namespace, model: LanguageModel, params: Params, tokenizer: Tokenizer
) -> int:
    with bar("passage") as shown:
        score = score_last_words(
            params, model.config, read_passages(args.last_word), tokenizer.encode, ops=model.ops,
            batch_size=args.batch_size,
            on_progress=lambda so_far: shown.update(so_far.passages - shown.n))
    print(f"passages        {score.passages:,}")
    print(f"accuracy        {score.accuracy:.2%} of last words, greedy")
    print(f"perplexity      {score.perplexity:.3f} per last word")
    return 0


def _run_harness(args: argparse.Namespace, model: LanguageModel, tokenizer: Tokenizer) -> int:
    # it imports the harness, which takes seconds and may not be installed
    harness = import_module("..evaluation.harness", __package__)
    # it warns of every metric whose aggregation a task leaves to the default
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    tasks = [name.strip() for name in args.harness.split(",") if name.strip()]
    print(harness.run_tasks(model, tokenizer, tasks, args.limit, args.batch_size))
    return 0
