"""A mistake in a piece of code, and the names under which a report may know it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ..piece import Piece, pieces


@dataclass(frozen=True)
class Fault:
    """`before` becomes `after` in the piece `name`; an empty `after` removes the line. Both are as
    they stand in the file, the first line without its indentation.

    `sentence` is what its author needs to be told. `accepted` are the kinds (separated by spaces)
    of which a report's first finding must have one; among them are names that the check does not
    know yet. `category` groups the table. `inputs` replaces USE's where only other inputs show the
    fault.
    """

    name: str
    before: str
    after: str
    sentence: str
    accepted: str
    category: str
    inputs: str = ""

    @property
    def piece(self) -> Piece:
        """The right piece."""
        return pieces()[self.name]

    @property
    def faulty(self) -> Piece:
        """The piece with the mistake; ValueError if `before` does not stand there exactly once."""
        source = self.piece.source
        if source.count(self.before) != 1:
            raise ValueError(f"{self.name}: expected {self.before!r} once, found it "
                             f"{source.count(self.before)} times")
        changed = source.replace(self.before, self.after)
        if not self.after:  # what is left of the line goes too
            changed = re.sub(r"^[ ]+\n", "", changed, flags=re.MULTILINE)
        return replace(self.piece, source=changed)

    @property
    def line(self) -> int:
        """The number of the first line that was changed."""
        source = self.piece.source
        return source.count("\n", 0, source.index(self.before)) + 1

    @property
    def id(self) -> str:
        """The piece and the edit, for tables and tests."""
        return f"{self.name}: {self.before} -> {self.after or 'nothing'}"
