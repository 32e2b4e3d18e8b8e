"""npgpt generate: write text with a trained model."""

from __future__ import annotations

import argparse
import sys
from itertools import tee
from pathlib import Path
from typing import Iterator

from ..documents import decode, read_text
from ..generation.language_model import LanguageModel
from ..generation.sampling import SamplingSettings
from ..generation.writing import converse, stream_text
from ..opening import open_model
from ..text import CorpusError, Tokenizer
from .console import note
from .options import add_model, add_seed, add_threads, use_threads
from .parser import Parser

DESCRIPTION = "Continue a prompt, token by token."
EPILOG = """\
The text goes to stdout, everything else to stderr. Without a prompt, and with
no text on stdin, the model starts a document of its own.

examples:
  npgpt generate runs/python-docs "The "
  npgpt generate runs/python-docs --file prompt.txt --max-new-tokens 500
  echo "def " | npgpt generate runs/python-source --temperature 0
  npgpt generate gpt2/ --interactive
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    add_model(parser)
    parser.add_argument("prompt", nargs="?", metavar="PROMPT",
                        help="the text to continue; - reads stdin")
    parser.add_argument("--file", type=Path, metavar="FILE", help="read the prompt from a file")
    parser.add_argument("--max-new-tokens", type=int, default=200, metavar="N",
                        help="tokens to write (default 200)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="X",
                        help="0 is greedy, 1 the model's own distribution (default 0.8)")
    parser.add_argument("--top-k", type=int, metavar="K",
                        help="choose among the K most probable tokens (default 0: all)")
    parser.add_argument("--top-p", type=float, metavar="P",
                        help="choose among the most probable tokens that add up to probability P "
                             "(default: all)")
    parser.add_argument("--min-p", type=float, metavar="P",
                        help="choose among tokens at least P times as probable as the most "
                             "probable one (default: all)")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X",
                        help="above 1 makes tokens of the text so far less probable (default 1)")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT",
                        help="end before this text; may be repeated")
    parser.add_argument("--samples", type=int, default=1, metavar="N",
                        help="independent continuations to write (default 1)")
    add_seed(parser, None, "the same seed gives the same text")
    parser.add_argument("--speculate", action="store_true",
                        help="draft tokens by prompt lookup: faster where the text repeats itself")
    parser.add_argument("--int8", action="store_true",
                        help="round the weights to 8 bits: less to read for each token, but "
                             "faster only where memory is slow; `npgpt eval --int8` measures "
                             "the cost in loss")
    parser.add_argument("--interactive", action="store_true",
                        help="read prompts line by line, all part of one text")
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Write the prompt and its continuation to stdout as it comes."""
    if args.interactive and (args.prompt is not None or args.file is not None):
        raise ValueError("--interactive reads its prompts line by line; leave the prompt out")
    prompt = None if args.interactive else _prompt(args)
    use_threads(args.threads)
    model, tokenizer = open_model(args.model)
    writer = model.quantized() if args.int8 else model
    if args.interactive:
        _interact(args, writer, tokenizer)
    else:
        _write(args, writer, tokenizer, prompt)
    return 0


def _write(
    args: argparse.Namespace, model: LanguageModel, tokenizer: Tokenizer, prompt: str | None
) -> None:
    ids = [tokenizer.first_id] if prompt is None else tokenizer.encode(prompt)
    context = model.config.n_positions
    slid: list[int] = []
    stop_ids = _stop_ids(tokenizer)
    tokens = model.stream(ids, args.max_new_tokens, seed=args.seed, samples=args.samples,
                          on_slide=slid.append, decode=tokenizer.decode, stop_ids=stop_ids,
                          stop=args.stop, speculate=args.speculate, **_sampling(args))
    if len(ids) > context:
        note(f"the prompt has {len(ids):,} tokens, more than the context of {context}: only the "
             f"last {context} are read")
    # the samples are written side by side; the first is shown as it comes, the others wait
    for sample, all_tokens in enumerate(tee(tokens, args.samples)):
        if sample:
            _show("\n" + "-" * 40 + "\n")
        _show(prompt or "")
        own = (token for token in all_tokens if token.row == sample)
        for piece in stream_text(own, tokenizer, stop_ids=stop_ids, stop=args.stop):
            _show(piece)
    _show("\n")
    if slid and len(ids) <= context:
        _note_slide(context)


def _interact(args: argparse.Namespace, model: LanguageModel, tokenizer: Tokenizer) -> None:
    note("type a line to have it continued, or an empty line to go on; Ctrl-C ends a reply, "
         "Ctrl-D the conversation")
    session = model.session(seed=args.seed,
                            on_slide=lambda row: _note_slide(model.config.n_positions))
    converse(session, tokenizer, _lines(), _show, args.max_new_tokens, on_error=note,
             stop_ids=_stop_ids(tokenizer), stop=args.stop, speculate=args.speculate,
             **_sampling(args))


def _sampling(args: argparse.Namespace) -> SamplingSettings:
    return {"temperature": args.temperature, "top_k": args.top_k, "top_p": args.top_p,
            "min_p": args.min_p, "repetition_penalty": args.repetition_penalty}


def _stop_ids(tokenizer: Tokenizer) -> tuple[int, ...]:
    return () if tokenizer.eot_id is None else (tokenizer.eot_id,)


def _lines() -> Iterator[str]:
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            return
        yield line


def _show(text: str) -> None:
    print(text, end="", flush=True)


def _note_slide(context: int) -> None:
    note(f"the text outgrew the context; from there on each token is predicted from the last "
         f"{context} alone")


def _prompt(args: argparse.Namespace) -> str | None:
    """The prompt's text; None if none was given and nothing is piped in."""
    if args.prompt is not None and args.file is not None:
        raise ValueError("got both a PROMPT and --file; expected one of them")
    if args.file is not None:
        text, source = read_text(args.file, CorpusError), str(args.file)
    elif args.prompt not in (None, "-"):
        text, source = args.prompt, "the command line"
    elif args.prompt == "-" or not sys.stdin.isatty():
        text, source = decode(sys.stdin.buffer.read(), "stdin", CorpusError), "stdin"
        # echo adds a line break that is not meant as part of the prompt
        text = text.removesuffix("\n")
        if not text and args.prompt is None:
            return None
    else:
        return None
    if not text:
        raise ValueError(f"the prompt from {source} is empty; give at least one character, or no "
                         f"prompt at all")
    return text
