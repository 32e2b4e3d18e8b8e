"""CheckpointError, and the wording of its one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterable

from ..documents import LONGEST_LINE
from ..suggest import one_line

LONGEST_NAME = 120


class CheckpointError(ValueError):
    """A file of weights cannot be used; the message is one line that names it and says why."""


class Unsound(Exception):
    """Bytes that do not parse; the reader that knows the file's name makes a CheckpointError."""


def bad_file(path: Path | str, *problems: str) -> CheckpointError:
    """The error for `path`: all problems in one line, without control characters."""
    # a forged file may hold a million bad names; the line stays readable
    return CheckpointError(f"{one_line(str(path))}: {one_line('; '.join(problems), LONGEST_LINE)}")


def shown(value: object) -> str:
    """A value out of a file, shortened for a message."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "..."


def named(names: Iterable[str]) -> str:
    """Names in one phrase; those that differ only in the block number are merged.

        named(["h.0.ln_1.bias", "h.1.ln_1.bias", "wpe.weight"]) == "h.{0-1}.ln_1.bias, wpe.weight"
    """
    blocks: dict[str, list[int]] = {}
    for name in names:
        match = re.search(r"(?<=\.)\d{1,6}(?=\.)", f".{name}")
        if match:
            pattern = name[: match.start() - 1] + "{}" + name[match.end() - 1:]
            blocks.setdefault(pattern, []).append(int(match.group()))
        else:
            blocks.setdefault(shown(name), [])
    return ", ".join(
        shown(pattern).replace("{}", _spans(numbers), 1) if numbers else pattern
        for pattern, numbers in blocks.items()
    )


def _spans(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    spans: list[list[int]] = []
    for n in sorted(set(numbers)):
        if spans and n == spans[-1][1] + 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return "{" + ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans) + "}"
