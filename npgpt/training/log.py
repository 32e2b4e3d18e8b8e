"""log.jsonl: one line per step, and what the newest checkpoint agrees with.

A run that is killed may have logged steps that no checkpoint holds. On resuming these lines are
cut off, so that the log reads as if nothing had happened. A damaged line is left out, and never
what stands before or after it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any, Iterable, Literal, Mapping, NamedTuple, Sequence, TypedDict, Union

import numpy as np

from ..documents import Json, check_type, parse_json, read_bytes
from ..files import aside, replacing_file
from ..tape import Array

FILE = "log.jsonl"

Record = Union[None, bool, int, float, str, Array, Sequence["Record"], Mapping[str, "Record"]]
"""What JSON can hold, and what `plain` makes so: arrays, and numbers that are not finite."""

Number = Union[float, Literal["nan", "inf", "-inf"], None]
"""A number as `plain` gives it: text where it is not finite."""

# what a step's line has, where it was measured
MEASURED = ("loss", "val", "lr", "grad_norm", "tokens_per_second")
# floats count up to here
_LARGEST_STEP = 2**53
# of a run of a million steps; more is no log of one
LARGEST = 2**30


class _Measured(TypedDict):
    bound: Number
    nats: list[list[Number]]


class EntropySeen(_Measured, total=False):
    """Attention entropy as `watch` saw it; nats and sink are [L][H]."""

    sink: list[list[Number]] | None
    nan: int


class Seen(TypedDict, total=False):
    """What a report reads of the probes."""

    entropy: EntropySeen


class _Step(TypedDict):
    step: int


class LogRecord(_Step, total=False):
    """What a report reads of a line."""

    loss: Number
    val: Number
    lr: Number
    grad_norm: Number
    tokens_per_second: Number
    watch: Seen


class Step(NamedTuple):
    """A step of a run as its log has it; None is what was not measured at it.

    Step 0 is the state before the first update: it has no loss, and a held-out one.
    """

    step: int
    loss: float | None = None
    """Over the batch of the step, in nats per token, before the update."""
    val: float | None = None
    """Over held-out text, in nats per token, after the update."""
    lr: float | None = None
    grad_norm: float | None = None
    """Of all gradients together, before clipping."""
    tokens_per_second: float | None = None

    @classmethod
    def of(cls, record: Json) -> Step | None:
        """The step that a line of the log describes; None if it has nothing of one."""
        found = {name: float(record[name]) for name in MEASURED if record.get(name) is not None}
        step = record["step"]
        return cls(step, **found) if found and 0 <= step < _LARGEST_STEP else None


class RunLog:
    """Appends records to RUN/log.jsonl; each line is written out at once."""

    def __init__(self, run_folder: Path) -> None:
        self.path = run_folder / FILE
        self._file = self.path.open("a+", encoding="utf-8")

    def write(self, record: Mapping[str, Record]) -> None:
        """Append one record, as `plain` gives it."""
        self._file.write(json.dumps(plain(record), allow_nan=False) + "\n")
        self._file.flush()

    def flush_to_disk(self) -> None:
        """Have the disk hold every line: a checkpoint must not know more than the log."""
        os.fsync(self._file.fileno())

    def text(self) -> str:
        """All of the log, even if the file has been renamed or deleted."""
        self._file.seek(0)
        return self._file.read()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


class Line(NamedTuple):
    """A line of a log: its bytes, and the record in them; None if they are not one."""

    raw: bytes
    record: Json | None


def read_lines(path: Path) -> list[Line]:
    """All lines of a log, oldest first, without one that a kill tore at the end; [] if no file."""
    if not path.exists():
        return []
    content = read_bytes(path, most=LARGEST)
    *whole, last = [Line(raw, record_of(raw)) for raw in content.split(b"\n")]
    # a kill may have come between a record and its line break
    return whole + [last] if last.record is not None else whole


def record_of(line: bytes) -> Json | None:
    """The record in a line of a log, None if there is none."""
    try:
        record = parse_json(line, "the line")
        check_type(record, LogRecord, "the line")
    except ValueError:
        return None
    return record


def steps_of(lines: Iterable[Line]) -> list[Step]:
    """The steps that lines of a log describe, in order; of lines with one step the last counts."""
    found = {step.step: step for line in lines if line.record is not None
             for step in [Step.of(line.record)] if step is not None}
    return [found[step] for step in sorted(found)]


def read_log(run_folder: Path) -> list[Json]:
    """All complete records of a run, oldest first."""
    return [line.record for line in read_lines(run_folder / FILE) if line.record is not None]


def cut_log(run_folder: Path, step: int, keep: bool = False) -> str:
    """Drop every record of a step after `step`, a torn last line, and damaged lines.

    If lines are damaged, or with `keep`, the log as it was is set aside. Returns what to tell the
    user about that, "" if there is nothing.
    """
    path = run_folder / FILE
    lines = read_lines(path)
    damaged = sum(line.record is None for line in lines)
    copy = aside(path)
    if damaged or (keep and lines):
        with replacing_file(copy) as beside:
            shutil.copyfile(path, beside)
    kept = [line.raw + b"\n" for line in lines if line.record and line.record["step"] <= step]
    with replacing_file(path) as beside:
        beside.write_bytes(b"".join(kept))
    lost = f"{damaged} damaged line{'s' if damaged > 1 else ''}"
    return f"{path}: {lost} left out; the file as it was is {copy}" if damaged else ""


def plain(value: object, digits: int = 17) -> Any:
    """`value` as JSON can hold it, at any depth: arrays become lists, numbers not finite text.

    Floats are rounded to so many significant digits; 17 leave them as they are.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(part, digits) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part, digits) for part in value]
    if not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)
