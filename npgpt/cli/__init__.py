"""The command line: one file a verb. A verb parses, calls one function below, and prints.

A verb's module has DESCRIPTION and EPILOG for its help, add_arguments(parser) and run(args). Exit
codes: 0 success, 1 a check failed, 2 usage, 3 a file cannot be read or written, 4 training
diverged, 130 interrupted. A user's mistake gives one line on stderr; with NPGPT_TRACEBACK=1 the
traceback too.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from importlib import import_module
from textwrap import fill
from typing import Sequence, TextIO

from .. import suggest
from ..machine import tune
from ..machine.beginning import has_begun, watch_beginning
from ..version import VERSION
from .parser import Parser

# by what one wants to do, name: one line of help; the module of the same name is imported only when
# its verb is called
GROUPS = {
    "train a model and use it": {
        "train": "train a model on text, fine-tune one, or continue a run",
        "generate": "write text with a trained model",
        "eval": "loss, perplexity, bits per byte; HellaSwag, LAMBADA, the harness",
        "plot": "the curves of training runs: loss, learning rate, speed",
    },
    "learn it": {
        "learn": "a course: 24 exercises, up to a GPT-2 of your own",
    },
    "understand it": {
        "view": "your model's forward and backward on one page that opens offline",
        "demo": "attention, softmax, bpe, backward, adamw, ... at work, in numbers",
        "book": "replay the numbers of the book, beside the ones computed here",
        "notebook": "three notebooks: a layer's gradient; train, look inside; GPT-2",
        "entropy": "attention entropy of every head, and growth of the residual stream",
        "inspect": "configuration, parameters, memory and FLOPs of a model",
    },
    "check gradients and ports of your own": {
        "gradcheck": "check every gradient against numeric derivatives",
        "explain": "what a kind of fault is, and how to find it by hand",
        "pack": "every intermediate and gradient of a small model, to test ports",
    },
    "weights and runs": {
        "pull": "download a GPT-2 by its name",
        "convert": "write a model in another format",
        "verify": "say what is damaged in a run, a checkpoint, a model or tokens",
        "lab": "studies: many training runs that answer one question",
    },
    "the command line itself": {
        "completion": "a script that completes verbs, options and files in your shell",
    },
}
VERBS = {name: line for verbs in GROUPS.values() for name, line in verbs.items()}
BEGIN = """\
to begin with:
  npgpt train                          two minutes, on Python's documentation
  npgpt plot runs/python-docs          its curves
  npgpt generate runs/python-docs "The "
  npgpt learn start                    backpropagation by hand, graded
  npgpt demo attention                 attention, step by step
  npgpt train --from gpt2 --corpus F   fine-tune, after npgpt pull gpt2
  npgpt VERB --help                    the options of a verb, with examples
""".splitlines()


def entry() -> int:
    """The command `npgpt` and `python -m npgpt`: tune the process, call main, force the status.

    After a Ctrl-C during an import, Python may end the process by the signal although it was
    handled; the exit code would then not be 130.
    """
    # before a verb loads NumPy
    tune()
    warnings.showwarning = _note_warning
    if "--mpi" in sys.argv:
        watch_beginning()
    try:
        code = main()
    finally:
        has_begun()
    if code == 130:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _note_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:
    # a remark for the user: which of our lines it comes from does not help him
    print(f"npgpt: {suggest.one_line(str(message))}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that cannot show a character gets a question mark, not a traceback
            stream.reconfigure(errors="replace")
    try:
        args = parse(arguments)
        return int(args.run(args))
    except SystemExit as stop:       # argparse: 0 after --help, 2 after a mistake
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("npgpt: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader is gone (| head): exit quietly, and keep Python from flushing again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        code = exit_code(error)
        if code is None or os.environ.get("NPGPT_TRACEBACK"):
            raise
        print(f"npgpt: {one_line(error)}", file=sys.stderr)
        return code


def exit_code(error: Exception) -> int | None:
    """The exit code of a user's mistake or a failing disk; None for a bug of our own."""
    from ..evaluation.choices import QuestionError
    from ..text import CorpusError
    from ..training.update import Diverged
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
    """An error's message without line breaks; for the system's own errors, with the file."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return suggest.one_line(f"{where}{error.strerror}")
    return suggest.one_line(str(error)) or type(error).__name__


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """A command line's arguments, with the verb's `run`; only that verb's module is imported.

    Raises SystemExit after --help or --version, and for a mistake.
    """
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    verb = arguments[0] if arguments else ""
    if verb in VERBS:
        return verb_parser(verb).parse_intermixed_args(arguments[1:])
    parser = Parser("npgpt")
    parser.usage = "npgpt VERB [options]"
    parser.description = "GPT-2 in NumPy, every gradient written by hand."
    lines = [line for heading, verbs in GROUPS.items() for line in (
        f"{heading}:", *(f"  {name:11}{about}" for name, about in verbs.items()), "")]
    parser.epilog = "\n".join((*lines, *BEGIN))
    parser.add_argument("--version", action="version", version=f"npgpt {VERSION}")
    if verb and not verb.startswith("-"):
        parser.error(str(suggest.unknown("verb", verb, VERBS)))
    parser.parse_args(arguments)
    parser.error(f"no verb given; expected one of {', '.join(VERBS)}")


def verb_parser(verb: str, parser: Parser | None = None) -> Parser:
    """The parser of one verb, or `parser` with all of its arguments; its module is imported."""
    module = import_module(f"{__name__}.{verb}")
    parser = Parser(f"npgpt {verb}") if parser is None else parser
    parser.description, parser.epilog = fill(module.DESCRIPTION, 79), module.EPILOG
    parser.set_defaults(run=module.run)
    module.add_arguments(parser)
    return parser
