"""argparse, with mistakes answered in one line that suggests what would fit.

This module is loaded by every command, so it needs nothing but the standard library; options that
several verbs share are in `options`.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any, Iterator, NoReturn, Sequence

from ..suggest import did_you_mean, elsewhere


class Parser(argparse.ArgumentParser):
    """The parser of one verb: no abbreviated options, and errors of one line."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog=prog, allow_abbrev=False,
                         formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def parse_known_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse has it, with other projects' names of our options read as ours."""
        given = sys.argv[1:] if args is None else args
        return super().parse_known_intermixed_args(list(self._renamed(list(given))), namespace)

    def _renamed(self, arguments: list[str]) -> Iterator[str]:
        """--learning_rate and --lr become --learning-rate; one of theirs may be several of ours."""
        waiting = iter(arguments)
        for argument in waiting:
            name, equals, value = argument.partition("=")
            ours = [] if name in self._option_string_actions else self._ours(name)
            if len(ours) > 1 and not equals:
                equals, value = "=", next(waiting, "")
            yield from (f"{our}{equals}{value}" for our in ours) if ours else [argument]
            if argument == "--":
                yield from waiting

    def _ours(self, name: str) -> list[str]:
        known = self._option_string_actions
        # a letter is only answered: programs differ in what one means
        if not name.startswith("--") or len(name) < 4:
            return []
        if (spelt := name.replace("_", "-")) in known:
            return [spelt]
        ours, remark = elsewhere(name, known)
        return [] if remark else ours

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and what would fit, then exit with 2."""
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown and unknown[1].startswith("-"):
            # PROMPT too: elsewhere it may be an option
            known = [name for action in self._actions
                     for name in action.option_strings or [str(action.metavar)]]
            nearest = did_you_mean(unknown[1].split("=")[0], known)
            message = f"unknown option {unknown[1]}{nearest}"
        elif unknown:
            message = f"unexpected argument {unknown[1]!r}; quote a text of several words"
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")
