"""log.jsonl: one line per step, and what the newest checkpoint agrees with.

A run that is killed may have logged steps that no checkpoint holds. On resuming these lines are
cut off, so that the log reads as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Literal, Mapping, Sequence, TypedDict, Union

import numpy as np

from ..documents import LARGEST, check_type, open_regular, parse_json
from ..files import write_text
from ..tape import Array

FILE = "log.jsonl"

Record = Union[None, bool, int, float, str, Array, Sequence["Record"], Mapping[str, "Record"]]
"""What JSON can hold, and what `plain` makes so: arrays, and numbers that are not finite."""

Number = Union[float, Literal["nan", "inf", "-inf"], None]
"""A number as `plain` gives it: text where it is not finite."""


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
    watch: Seen


class RunLog:
    """Appends records to RUN/log.jsonl; each line is written out at once."""

    def __init__(self, run_folder: Path) -> None:
        self.path = run_folder / FILE
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, record: Mapping[str, Record]) -> None:
        """Append one record, as `plain` gives it."""
        self._file.write(json.dumps(plain(record), allow_nan=False) + "\n")
        self._file.flush()

    def flush_to_disk(self) -> None:
        """Have the disk hold every line: a checkpoint must not know more than the log."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def read_log(run_folder: Path) -> list[dict[str, Any]]:
    """All complete records of a run, oldest first, up to the first line that is not one."""
    records: list[dict[str, Any]] = []
    path = run_folder / FILE
    if not path.exists():
        return []
    with open_regular(path) as file:
        for line in iter(lambda: file.readline(LARGEST), b""):
            record = parse_record(line)
            if record is None:
                break
            records.append(record)
    return records


def parse_record(line: bytes) -> dict[str, Any] | None:
    """The record in one line of a log; None if it is torn or damaged."""
    try:
        record = parse_json(line, "the line")
        check_type(record, LogRecord, "the line")
    except ValueError:
        return None
    return record


def cut_log(run_folder: Path, step: int) -> None:
    """Drop every record of a step after `step`, and a torn last line."""
    lines = [json.dumps(record) + "\n" for record in read_log(run_folder) if record["step"] <= step]
    write_text(run_folder / FILE, "".join(lines))


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
