"""npgpt generate: write text with a trained model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Iterator

from .parser import add_threads, seed_number, use_threads

EPILOG = """\
The text goes to stdout, everything else to stderr. Without a prompt, and with
no text on stdin, the model starts a document of its own.

examples:
  npgpt generate runs/python-docs "The "
  npgpt generate runs/python-docs --file prompt.txt --max-new-tokens 500
  echo "def " | npgpt generate runs/python-source --temperature 0
  npgpt generate gpt2/ --interactive
"""


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "generate", help="write text with a trained model", epilog=EPILOG,
        description="Continue a prompt, token by token.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="MODEL",
                        help="a run, a checkpoint, or a folder of GPT-2 weights")
    parser.add_argument("prompt", nargs="?", help="the text to continue; - reads stdin")
    parser.add_argument("--file", type=Path, metavar="FILE", help="read the prompt from a file")
    parser.add_argument("--max-new-tokens", type=int, default=200, metavar="N",
                        help="tokens to write (default 200)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="X",
                        help="0 is greedy, 1 the model's own distribution (default 0.8)")
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K likeliest tokens")
    parser.add_argument("--top-p", type=float, metavar="P",
                        help="only the likeliest tokens that hold P of the probability")
    parser.add_argument("--min-p", type=float, metavar="P",
                        help="only tokens at least P times as likely as the likeliest")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X",
                        help="above 1 makes tokens of the text less likely (default 1)")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT",
                        help="end when this is written; may be given again")
    parser.add_argument("--samples", type=int, default=1, metavar="N",
                        help="texts to write, one after another (default 1)")
    parser.add_argument("--seed", type=seed_number, help="the same seed, the same text")
    parser.add_argument("--speculate", action="store_true",
                        help="draft from the text so far: faster where it repeats itself")
    parser.add_argument("--int8", action="store_true",
                        help="round the weights to 8 bits: fewer bytes to read, which is "
                             "quicker only where memory is slow; `npgpt eval --int8` "
                             "measures what it costs in loss")
    parser.add_argument("--interactive", action="store_true",
                        help="read prompts line by line; the text so far stays in memory")
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the prompt and its continuation to stdout as it comes."""
    from ..gpt2 import open_model

    if args.samples < 1:
        raise ValueError(f"--samples {args.samples} must be at least 1")
    if args.interactive and (args.prompt is not None or args.file is not None):
        raise ValueError("--interactive reads its prompts line by line; leave the prompt out")
    prompt = None if args.interactive else _prompt(args)
    use_threads(args.threads)
    model, tokenizer = open_model(args.model)
    if args.int8:
        from ..generation.quantized import quantize

        model.params = quantize(model.params, model.config)
    settings = {name: getattr(args, name) for name in (
        "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "stop", "speculate")}
    if args.interactive:
        return _interactive(args, model, tokenizer, settings)
    return _write(args, model, tokenizer, prompt, settings)


def _write(args: Any, model: Any, tokenizer: Any, prompt: str | None, settings: Any) -> int:
    from ..generation import stream
    from ..generation.fast_reader import FastReader
    from ..generation.writing import stream_text

    ids = [tokenizer.first_id] if prompt is None else tokenizer.encode(prompt)
    ends = () if tokenizer.eot_id is None else (tokenizer.eot_id,)
    slid: list[int] = []
    if len(ids) > model.config.n_positions:
        _tell(f"the prompt has {len(ids):,} tokens, more than the context of "
              f"{model.config.n_positions}: only the last {model.config.n_positions} are read")
    for number in range(args.samples):
        if number:
            _show("\n" + "-" * 40 + "\n")
        seed = None if args.seed is None else args.seed + number
        tokens = stream(model.params, model.config, ids, args.max_new_tokens, seed=seed,
                        reader=FastReader, on_slide=slid.append, decode=tokenizer.decode,
                        stop_ids=ends, **settings)
        _show(prompt or "")
        for piece in stream_text(tokens, tokenizer, stop_ids=ends, stop=args.stop):
            _show(piece)
    _show("\n")
    if slid and len(ids) <= model.config.n_positions:
        _tell_slide(model)
    return 0


def _interactive(args: Any, model: Any, tokenizer: Any, settings: Any) -> int:
    from ..generation import Session
    from ..generation.fast_reader import FastReader
    from ..generation.writing import converse

    ends = () if tokenizer.eot_id is None else (tokenizer.eot_id,)
    _tell("type a line and get its continuation; an empty line goes on, Ctrl-C ends a reply, "
          "Ctrl-D ends")
    session = Session(model.params, model.config, seed=args.seed, reader=FastReader,
                      on_slide=lambda row: _tell_slide(model))
    converse(session, tokenizer, _lines(), _show, args.max_new_tokens, on_error=_tell,
             stop_ids=ends, **settings)
    return 0


def _lines() -> Iterator[str]:
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            return
        yield line


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _tell(text: str) -> None:
    print(f"npgpt: {text}", file=sys.stderr)


def _tell_slide(model: Any) -> None:
    _tell(f"the text outgrew the context; from there each token was predicted from the last "
          f"{model.config.n_positions} alone")


def _prompt(args: argparse.Namespace) -> str | None:
    """The prompt's text; None where none was given and nobody pipes one in."""
    if args.prompt is not None and args.file is not None:
        raise ValueError("a prompt was given and --file too; one of them is enough")
    if args.file is not None:
        text, source = _decoded(args.file.read_bytes(), str(args.file)), str(args.file)
    elif args.prompt is not None and args.prompt != "-":
        text, source = args.prompt, "the argument"
    elif args.prompt == "-" or not sys.stdin.isatty():
        text, source = _decoded(sys.stdin.buffer.read(), "stdin"), "stdin"
        # echo ends its text with a line break that nobody meant as part of the prompt
        text = text[:-1] if text.endswith("\n") else text
        if not text and args.prompt is None:
            return None
    else:
        return None
    if not text:
        raise ValueError(f"the prompt from {source} is empty; give at least one character, or no "
                         f"prompt at all")
    return text


def _decoded(content: bytes, source: str) -> str:
    from ..text import CorpusError

    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{source} is no UTF-8 text: byte {error.start} does not fit") from None
