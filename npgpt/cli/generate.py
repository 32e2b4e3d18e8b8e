"""npgpt generate: write text with a trained model."""

from __future__ import annotations

import argparse
import sys
from itertools import tee
from pathlib import Path
from typing import Iterator

import numpy as np

from ..documents import decode, read_text
from ..generation.language_model import LanguageModel
from ..generation.sampling import SamplingSettings
from ..generation.writing import converse, stream_text
from ..opening import open_int8, open_model
from ..text import CorpusError, Tokenizer
from ..text.encode import encode_prompt
from ..training.tasks import alpaca_prompt
from .console import note
from .options import add_model, add_seed, add_threads, use_threads
from .parser import Parser

DESCRIPTION = "Continue a prompt, token by token."
EPILOG = """\
The text goes to stdout, everything else to stderr. Without a prompt, and with
no text on stdin, the model starts a document of its own.

examples:
  npgpt generate runs/python-docs "The "
  npgpt generate runs/python-docs --temperature 0 "The "
  npgpt generate runs/python-docs --file prompt.txt --max-new-tokens 500
  npgpt generate runs/python-docs --prompts prompts.txt   a prompt a line
  npgpt generate runs/tuned --instruct "Name three colours."
  echo "def " | npgpt generate runs/python-source --temperature 0
  npgpt generate gpt2/ --interactive
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    add_model(parser)
    parser.add_argument("prompt", nargs="?", metavar="PROMPT",
                        help="the text to continue; - reads stdin")
    parser.add_argument("--file", type=Path, metavar="FILE", help="read the prompt from a file")
    parser.add_argument("--prompts", type=Path, metavar="FILE",
                        help="read several prompts from a file, one a line, and continue each")
    parser.add_argument("--special", action="store_true",
                        help="<|endoftext|> and other special tokens in a prompt are tokens, not "
                             "text")
    parser.add_argument("--instruct", action="store_true",
                        help="the prompt is an instruction, put into the words that npgpt train "
                             "--task instruct learns; the answer alone is shown")
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
                        help="round the weights to 8 bits: about a quarter of the memory, and "
                             "seldom faster; `npgpt eval --int8` measures the cost in loss")
    parser.add_argument("--interactive", action="store_true",
                        help="read prompts line by line, all part of one text")
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Write the prompt and its continuation to stdout as it comes."""
    given = [name for name, value in (
        ("a PROMPT", args.prompt), ("--file", args.file), ("--prompts", args.prompts))
        if value is not None]
    if args.interactive and given:
        raise ValueError("--interactive reads its prompts line by line; leave the prompt out")
    if len(given) > 1:
        raise ValueError(f"got both {given[0]} and {given[1]}; expected one of them")
    prompts: list[str] | None = None
    if args.prompts is not None:
        prompts = _prompt_lines(args.prompts)
    elif not args.interactive and (prompt := _prompt(args)) is not None:
        prompts = [prompt]
    if args.instruct:
        if prompts is None:
            raise ValueError("--instruct needs a PROMPT, --file or --prompts")
        prompts = [alpaca_prompt(prompt) for prompt in prompts]
    use_threads(args.threads)
    writer, tokenizer = (open_int8 if args.int8 else open_model)(args.model, args.base)
    if args.interactive:
        _interact(args, writer, tokenizer)
    else:
        _write(args, writer, tokenizer, prompts)
    return 0


def _write(
    args: argparse.Namespace, model: LanguageModel, tokenizer: Tokenizer, prompts: list[str] | None
) -> None:
    ids = ([np.array([tokenizer.first_id])] if prompts is None else
           [encode_prompt(tokenizer, prompt, args.special) for prompt in prompts])
    context, longest = model.config.n_positions, max(map(len, ids))
    slid: list[int] = []
    stop_ids = _stop_ids(tokenizer)
    tokens = model.stream(ids, args.max_new_tokens, seed=args.seed, samples=args.samples,
                          on_slide=slid.append, decode=tokenizer.decode, stop_ids=stop_ids,
                          stop=args.stop, speculate=args.speculate, **_sampling(args))
    if longest > context:
        note(f"the prompt has {longest:,} tokens, more than the context of {context}: only the "
             f"last {context} are read")
    # the texts are written side by side; the first is shown as it comes, the others wait
    for row, all_tokens in enumerate(tee(tokens, len(ids) * args.samples)):
        if row:
            _show("\n" + "-" * 40 + "\n")
        _show(prompts[row // args.samples] if prompts and not args.instruct else "")
        own = (token for token in all_tokens if token.row == row)
        for piece in stream_text(own, tokenizer, stop_ids=stop_ids, stop=args.stop):
            _show(piece)
    _show("\n")
    if slid and longest <= context:
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


def _prompt_lines(path: Path) -> list[str]:
    """The prompts in a file, one a line; blank lines are skipped."""
    prompts = [line for line in read_text(path, CorpusError).splitlines() if line.strip()]
    if not prompts:
        raise ValueError(f"{path} holds no prompts; expected one a line")
    return prompts
