"""npgpt completion: what a shell needs to complete verbs, options and files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Iterable

from ..demos import DEMOS
from ..training.settings import PRESETS
from . import VERBS, verb_parser
from .parser import Parser

DESCRIPTION = "Print a script that completes npgpt's verbs, options and files in a shell."
EPILOG = """\
It needs shtab: pip install 'npgpt[completion]'. A new shell then has it after

  npgpt completion bash >> ~/.bash_completion
  npgpt completion fish > ~/.config/fish/completions/npgpt.fish
  npgpt completion zsh > ~/.zfunc/_npgpt
      and, in ~/.zshrc before compinit, fpath+=~/.zfunc

After an update of npgpt, write the script again.
"""
SHELLS = ("bash", "zsh", "fish")
# what the parsers leave to a verb's own message, so that it may suggest the nearest
NAMES: dict[tuple[str, str], Iterable[str]] = {
    ("demo", "name"): DEMOS, ("train", "preset"): PRESETS,
    ("lab", "action"): ("list", "run", "report"),
}
# arguments that may be files, though they are not declared as paths
FILES = {"corpus", "file", "study", "text", "what"}


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    print(script(args.shell), end="")
    return 0


def script(shell: str) -> str:
    """The completion script of a shell; ImportError, which names the extra, without shtab."""
    try:
        import shtab
    except ImportError:
        raise ImportError("completion needs shtab, which is not installed; "
                          "pip install 'npgpt[completion]'", name="shtab") from None
    whole = Parser("npgpt")
    verbs = whole.add_subparsers(dest="verb", parser_class=Parser)
    for verb, line in VERBS.items():
        for action in verb_parser(verb, verbs.add_parser(verb, help=line))._actions:
            if (verb, action.dest) in NAMES:
                action.choices = list(NAMES[verb, action.dest])
            elif action.type is Path or action.dest in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(whole, shell))
