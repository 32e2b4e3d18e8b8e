"""Kills: a signal at every event of a training run, and at every event of the run that resumes it.

After each: every checkpoint is whole, none that stood before is lost, and the run goes on to the
very bits of one that was never disturbed.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

from .nursery import Nursery, Plan
from .outcome import Outcome, fault_of_command
from .runs import (
    RESUME,
    Reference,
    disturbed,
    fault_at_rest,
    fault_of_resuming,
    fresh,
    reference,
)

# how a run may end on a signal: by it, or as one that saves first, or (at its end) as if nothing
# had happened
ENDS = {
    "SIGKILL": (-signal.SIGKILL,),
    "SIGTERM": (-signal.SIGTERM, 130, 0),
    "SIGINT": (130, 0),
}


def run(count: int, scratch: Path) -> Iterator[Outcome]:
    """`count` moments of a run for each signal, spread evenly, at most every event there is."""
    with Nursery() as nursery:
        expected = reference(nursery, scratch)
        for name, ends in ENDS.items():
            for at in moments(len(expected.events), count):
                folder = fresh(scratch, "killed")
                _, fault = disturbed(nursery, folder, expected, Plan(at, name), ends)
                yield Outcome(f"{name} to npgpt train", _words(expected.events, at), fault)
        yield from _killed_again(nursery, scratch, expected, count)


def moments(events: int, count: int) -> list[int]:
    """At most `count` of the events 1 to `events`, spread evenly, the first and the last too."""
    if count >= events:
        return list(range(1, events + 1))
    return sorted({1 + round(at * (events - 1) / max(1, count - 1)) for at in range(count)})


def _words(events: list[str], at: int) -> str:
    return f"at event {at} of {len(events)}, {events[at - 1]}"


def _killed_again(
    nursery: Nursery, scratch: Path, expected: Reference, count: int
) -> Iterator[Outcome]:
    """A run that was killed in its middle is killed again while it is resumed."""
    middle = Plan(len(expected.events) // 2, "SIGKILL")
    folder = fresh(scratch, "again")
    nursery.run(expected.arguments, folder, middle)
    events = nursery.run(RESUME, folder).events
    for at in moments(len(events), count):
        folder = fresh(scratch, "again")
        nursery.run(expected.arguments, folder, middle)
        ended = nursery.run(RESUME, folder, Plan(at, "SIGKILL"))
        fault = fault_of_command(ended.code, ended.err, ENDS["SIGKILL"])
        fault = fault or fault_at_rest(folder / "run", expected)
        fault = fault or fault_of_resuming(nursery, folder, expected)
        yield Outcome("SIGKILL to npgpt train --resume", _words(events, at), fault)
