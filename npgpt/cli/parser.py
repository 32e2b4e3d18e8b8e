"""argparse, with mistakes answered in one line that suggests what would fit."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import Any, NoReturn

from ..machine import tune


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line; options cannot be abbreviated."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("allow_abbrev", False)
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        """Say what does not fit and what would, then exit with 2."""
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown and unknown[1].startswith("-"):
            message = f"unknown option {unknown[1]}{self._nearest(unknown[1])}"
        elif unknown:
            message = f"{unknown[1]!r} is one argument too many; quote what has several words"
        if message.endswith("required: VERB"):
            message = f"which verb? there are {', '.join(self._verbs())}"
        wrong_verb = re.match(r"argument VERB: invalid choice: '([^']*)'", message)
        if wrong_verb:
            verbs = self._verbs()
            message = (f"unknown verb {wrong_verb[1]!r}{_suggestion(wrong_verb[1], verbs)}; "
                       f"there are {', '.join(verbs)}")
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help tells more)\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; an unknown option is reported by the verb's own parser."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            verb = getattr(parsed, "verb", None)
            owner = self._subparsers_by_name().get(verb, self) if verb else self
            owner.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed

    def _subparsers_by_name(self) -> dict[str, Any]:
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return dict(action.choices)
        return {}

    def _verbs(self) -> list[str]:
        return list(self._subparsers_by_name())

    def _nearest(self, option: str) -> str:
        known = [s for action in self._actions for s in action.option_strings]
        return _suggestion(option.split("=")[0], known)


def seed_number(text: str) -> int:
    """An option's value as the seed of a random generator: a whole number of at least 0."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 0")
    return value


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Declare --threads, with 0 as `npgpt train` takes it."""
    parser.add_argument("--threads", type=int, default=0, metavar="N",
                        help="threads to compute with (default 0: one per core, or what "
                             "OMP_NUM_THREADS says)")


def use_threads(n: int) -> None:
    """Compute with n threads from now on, where n is not 0; ValueError for a negative number."""
    if n < 0:
        raise ValueError(f"expected threads of at least 0 (0 is one per core), got {n}")
    if n:
        tune(n)


def add_model_and_text(parser: argparse.ArgumentParser) -> None:
    """Declare MODEL, TEXT and --split: a model, and which part of which text to read with it."""
    parser.add_argument("model", type=Path, metavar="MODEL",
                        help="a run, a checkpoint, or a folder of GPT-2 weights")
    parser.add_argument("text", nargs="?", metavar="TEXT",
                        help="a file, a folder or a named corpus (default: the run's own)")
    parser.add_argument("--split", choices=("train", "val", "all"),
                        help="which part (default: val of the run's own corpus, all of another)")


def _suggestion(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {close[0]}?" if close else ""
