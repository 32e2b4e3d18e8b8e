"""Which text a model is measured on: the run's own, or one that the command line names."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from ..tape import Array
from ..text import Tokenizer, load_corpus
from ..training.checkpoint import build_run, is_run, newest_checkpoint, read_record
from .console import note
from .options import add_model
from .parser import Parser

# of a text that is not the run's own, where --split asks for a part
VAL_FRACTION = 0.1


class Text(NamedTuple):
    """The tokens (N,) of one split of a corpus."""

    name: str
    split: str
    """train, val, or all."""
    tokens: Array


def add_model_and_text(parser: Parser) -> None:
    """Declare MODEL, TEXT, --split, --special: a model, and which part of which text it reads."""
    add_model(parser)
    parser.add_argument("text", nargs="?", metavar="TEXT",
                        help="a file, a folder or a named corpus (default: the run's own)")
    parser.add_argument("--split", choices=("train", "val", "all"),
                        help="which part (default: val of the run's own corpus, all of another)")
    parser.add_argument("--special", action=argparse.BooleanOptionalAction, default=None,
                        help="<|endoftext|> and other special tokens in the text are tokens, not "
                             "text (default: as the run was trained, else off)")


def load_text(args: argparse.Namespace, tokenizer: Tokenizer, least: int = 1) -> Text:
    """The text that MODEL, TEXT and --split choose, with at least `least` tokens.

    Raises ValueError without a text to choose, CorpusError for one that cannot be read,
    holds characters that the tokenizer lacks, or is too short.
    """
    name, split, fraction = args.text, args.split or "all", VAL_FRACTION
    special = bool(args.special)
    if is_run(args.model):
        folder = newest_checkpoint(args.model)
        data = build_run(folder, read_record(folder)).data
        special = data.special if args.special is None else special
        if name in (None, data.corpus):
            name, split, fraction = data.corpus, args.split or "val", data.val_fraction
            if data.task != "text":
                raise ValueError(f"{args.model} was trained on examples (task {data.task}), not "
                                 f"on a text; name a TEXT too")
    if name is None:
        raise ValueError(f"{args.model} has no corpus of its own; name a TEXT too")
    corpus = load_corpus(name, tokenizer, 0.0 if split == "all" else fraction, report=note,
                         special=special)
    # with nothing held out, all of the text is the training part
    tokens = corpus.val if split == "val" else corpus.train
    corpus.require(least, tokens)
    return Text(corpus.name, split, tokens)
