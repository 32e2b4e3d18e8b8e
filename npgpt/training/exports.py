"""A run's steps in formats that other tools read, beside log.jsonl, which they are made from.

    RUN/log.csv         a header, and a row for each step; what was not measured is empty
    RUN/tensorboard/    an event file for TensorBoard, with the names of log.jsonl

Each is written anew from the log when training begins or continues, and then grows by every step:
so a step stands in it once, however often a run was killed and resumed.
"""

from __future__ import annotations

import csv
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Callable, Iterator, Protocol, Sequence

from ..checked import checked
from ..files import replacing_file
from ..suggest import unknown
from .curves import read_curves
from .log import MEASURED, Step

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

CSV_FILE = "log.csv"
TENSORBOARD = "tensorboard"
_EVENTS = "events.out.tfevents.*"


class _Format(Protocol):
    def begin(self, steps: Sequence[Step]) -> None:
        """Write anew, with these steps."""

    def add(self, step: Step) -> None:
        """Write one more."""

    def close(self) -> None:
        """End the file."""


class _Csv:
    def __init__(self, run_folder: Path) -> None:
        self._path = run_folder / CSV_FILE
        self._file: IO[str] | None = None

    def begin(self, steps: Sequence[Step]) -> None:
        with replacing_file(self._path) as beside:
            with beside.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([Step._fields, *steps])
        self._file = self._path.open("a", encoding="utf-8", newline="")

    def add(self, step: Step) -> None:
        assert self._file is not None
        csv.writer(self._file).writerow(step)
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _TensorBoard:
    def __init__(self, run_folder: Path) -> None:
        try:
            import tensorboardX
        except ImportError:
            raise ImportError("TensorBoard's files need tensorboardX; install it with: "
                              "python -m pip install 'npgpt[tensorboard]'") from None
        self._open = tensorboardX.SummaryWriter
        self._folder = run_folder / TENSORBOARD
        self._writer: SummaryWriter | None = None

    def begin(self, steps: Sequence[Step]) -> None:
        for old in self._folder.glob(_EVENTS):
            old.unlink()
        # a TensorBoard that has shown the old file forgets its steps
        self._writer = self._open(str(self._folder), purge_step=0, flush_secs=5)
        for step in steps:
            self.add(step)

    def add(self, step: Step) -> None:
        assert self._writer is not None
        for name in MEASURED:
            if getattr(step, name) is not None:
                self._writer.add_scalar(name, getattr(step, name), step.step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


FORMATS: dict[str, Callable[[Path], _Format]] = {"csv": _Csv, "tensorboard": _TensorBoard}


@contextmanager
@checked
def exporting(run_folder: Path | str, names: Sequence[str]) -> Iterator[Callable[[Step], None]]:
    """Yield an `on_step` for `train` that writes the formats of those names into the run's folder.

        with exporting(folder, ["csv"]) as on_step:
            train(folder, state, corpus, on_step=on_step)

    Raises ValueError for an unknown name, and ImportError without what tensorboard needs.
    """
    folder = Path(run_folder)
    for name in names:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    formats = [FORMATS[name](folder) for name in dict.fromkeys(names)]
    begun = False

    def on_step(step: Step) -> None:
        nonlocal begun
        for each in formats:
            if begun:
                each.add(step)
            else:
                # only now has `train` cut off what no checkpoint holds; this step is in the log
                each.begin(read_curves(folder).steps)
        begun = True

    with ExitStack() as stack:
        for each in formats:
            stack.callback(each.close)
        yield on_step


def exported(run_folder: Path) -> list[str]:
    """The formats that a run was written in so far."""
    found = {"csv": run_folder / CSV_FILE, "tensorboard": run_folder / TENSORBOARD}
    return [name for name, path in found.items() if path.exists()]
