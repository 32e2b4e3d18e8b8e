"""argparse, with mistakes answered in one line that suggests what would fit.

This module is loaded by every command, so it needs nothing but the standard library; options that
several verbs share are in `options`.
"""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from ..suggest import did_you_mean


class Parser(argparse.ArgumentParser):
    """The parser of one verb: no abbreviated options, and errors of one line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog=prog, allow_abbrev=False,
                         formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and what would fit, then exit with 2."""
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown and unknown[1].startswith("-"):
            known = [name for action in self._actions for name in action.option_strings]
            nearest = did_you_mean(unknown[1].split("=")[0], known)
            message = f"unknown option {unknown[1]}{nearest}"
        elif unknown:
            message = f"unexpected argument {unknown[1]!r}; quote a text of several words"
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")
