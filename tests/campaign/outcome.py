"""What a case is judged by: one outcome, and the wording of what is wrong with it."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping

from npgpt.cli import exit_code, one_line

LONGEST_LINE = 500
# the exit codes of a command that ended as it says in its help
ENDINGS = (0, 1, 2, 3, 4, 130)


@dataclass(frozen=True)
class Outcome:
    """One case: its group, what was done, and what is wrong with the answer; "" if nothing is."""

    group: str
    case: str
    fault: str = ""


@dataclass
class Tally:
    """The outcomes of a group; `faults` has each kind of failure with its number and an example."""

    attempted: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.attempted += 1
        if outcome.fault:
            self.faults[outcome.fault] += 1
            self.examples.setdefault(outcome.fault, outcome.case)

    def to_dict(self) -> dict[str, Any]:
        """As results.json has it."""
        failed = self.faults.total()
        return {
            "attempted": self.attempted, "handled": self.attempted - failed, "failed": failed,
            "failures": [{"fault": fault, "count": count, "example": self.examples[fault]}
                         for fault, count in self.faults.most_common()],
        }


def tallied(outcomes: Iterable[Outcome]) -> dict[str, Tally]:
    """The outcomes by group, in the order in which the groups come up."""
    result: dict[str, Tally] = {}
    for outcome in outcomes:
        result.setdefault(outcome.group, Tally()).add(outcome)
    return result


def fault_of_line(line: str) -> str:
    """What is wrong with one line for a terminal; "" if nothing is."""
    if not line.strip():
        return "an empty message"
    # a terminal shows half a surrogate pair as a question mark
    if not line.encode("utf-8", "replace").decode().isprintable():
        return "a message with control characters"
    if len(line) > LONGEST_LINE:
        return f"a message of more than {LONGEST_LINE} characters"
    return ""


def fault_of_error(error: BaseException) -> str:
    """What is wrong with an exception as the answer to a bad file or argument."""
    place = where(error)
    if isinstance(error, MemoryError):
        return f"the memory is filled: {place}"
    if not isinstance(error, Exception) or exit_code(error) is None:
        return f"{type(error).__name__}: {place}"
    fault = fault_of_line(one_line(error))
    return f"{fault}: {place}" if fault else ""


def fault_of_command(code: int, err: str, allowed: Iterable[int] = ENDINGS) -> str:
    """What is wrong with how a command ended: its exit code, and what it wrote to stderr."""
    if "Traceback (most recent call last)" in err:
        return f"a traceback: {err.strip().splitlines()[-1]:.160}"
    if code not in allowed:
        return f"exit code {code}: {err.strip()[-160:]!r}"
    # a line of its own stands under the terminal's ^C
    for line in filter(None, err.splitlines()):
        fault = fault_of_line(line)
        if fault:
            return fault
    if code in (2, 3, 4) and not err.strip():
        return f"exit code {code} without a word"
    return ""


def where(error: BaseException) -> str:
    """The innermost line of npgpt that an exception passed, as FILE:FUNCTION."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if "/npgpt/" in frame.filename.replace("\\", "/") and "/tests/" not in frame.filename]
    if not frames:
        return f"{type(error).__name__} outside of npgpt: {error!s:.100}"
    name = frames[-1].filename.replace("\\", "/").rpartition("/npgpt/")[2]
    return f"npgpt/{name}, {frames[-1].name}"


def merged(results: Iterable[Mapping[str, Tally]]) -> Iterator[tuple[str, Tally]]:
    """Every group of several tallies."""
    for result in results:
        yield from result.items()
