"""The command line: one file a verb. A verb parses, calls one function below, and prints.

Exit codes: 0 fine, 1 a check failed, 2 usage, 3 a file cannot be read or written, 4 training
diverged, 130 interrupted. A user's mistake gives one line on stderr; NPGPT_TRACEBACK=1 gives the
traceback too.
"""

from __future__ import annotations

import io
import os
import sys
from argparse import HelpFormatter
from importlib import import_module
from typing import Sequence

from ..machine import tune
from .parser import Parser

# name: one line of help; the module of the same name is imported only when its verb is called
VERBS = {
    "train": "train a model on text, or continue a run",
    "generate": "write text with a trained model",
    "eval": "loss and perplexity of a model on any text",
    "entropy": "attention entropy of every head, and the residual stream's growth",
    "inspect": "configuration, parameters, memory and FLOPs of a model",
    "lab": "studies: many training runs that answer one question",
    "gradcheck": "check every gradient against numeric derivatives",
    "demo": "demonstrations of the architecture, as numbers and pictures",
    "book": "replay the numbers of the book, beside the ones computed here",
    "pull": "download published GPT-2 weights",
    "convert": "write a model in another format",
    "pack": "every intermediate and gradient of a small model, to compare ports with",
}


def entry() -> int:
    """What the command `npgpt` and `python -m npgpt` run: a tuned process, main, a safe exit.

    A Ctrl-C that falls into an import can make Python end the process by the signal at its very
    end, although we have answered it: then the exit code would not be 130.
    """
    # before a verb loads NumPy
    tune()
    code = main()
    if code == 130:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that cannot show a character gets a question mark, not a traceback
            stream.reconfigure(errors="replace")
    try:
        parser = _parser(arguments)
        args = parser.parse_args(arguments)
        return int(args.run(args))
    except SystemExit as stop:       # argparse: 0 after --help, 2 after a mistake
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("npgpt: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader is gone (| head): leave without a word, and keep Python from flushing again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        code = exit_code(error)
        if code is None or os.environ.get("NPGPT_TRACEBACK"):
            raise
        print(f"npgpt: {one_line(error)}", file=sys.stderr)
        return code


def exit_code(error: Exception) -> int | None:
    """The code that tells a user's mistake or a failing disk; None for a fault of our own."""
    from ..evaluation.text import QuestionError
    from ..text import CorpusError
    from ..training.loop import Diverged
    from ..weights import CheckpointError

    if isinstance(error, Diverged):
        return 4
    bad_file = (CheckpointError, CorpusError, QuestionError, OSError, UnicodeDecodeError)
    if isinstance(error, bad_file):
        return 3
    if isinstance(error, ImportError):
        return None if (error.name or "").startswith("npgpt") else 2
    if isinstance(error, (ValueError, MemoryError)):
        return 2
    return None


def one_line(error: Exception) -> str:
    """What an error says, without line breaks; for the system's own errors, with the file."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _parser(arguments: list[str]) -> Parser:
    parser = Parser(
        prog="npgpt", description="GPT-2 in NumPy, every gradient written by hand.",
        epilog="npgpt VERB --help tells more about a verb.",
        formatter_class=lambda prog: HelpFormatter(prog, max_help_position=16),
    )
    from ..version import VERSION

    parser.add_argument("--version", action="version", version=f"npgpt {VERSION}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, help_line in VERBS.items():
        if arguments and arguments[0] == verb:
            import_module(f"{__name__}.{verb}").add_parser(subparsers)
        else:
            subparsers.add_parser(verb, help=help_line)
    return parser
