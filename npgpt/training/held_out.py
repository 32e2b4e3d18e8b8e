"""The lowest held-out loss of a run, and whether the loss has risen since: it overfits.

Evaluations vary a little. The loss counts as rising once three in a row are above the lowest, and
the last of them by a hundredth of it; that is reported once in a run, also if it is resumed.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Iterable

from ..weights import CheckpointError
from ..weights.reading import file_at
from .checkpoint import (
    best_checkpoint,
    build_run,
    is_checkpoint,
    is_run,
    newest_checkpoint,
    read_record,
    step_of,
    weights_of,
)
from .log import FILE, Step, read_lines, steps_of

IN_A_ROW = 3
MARGIN = 0.01


def model_checkpoint(path: Path) -> Path:
    """The checkpoint that a run stands for as a model: the newest, or with patience the best.

    `path` may be one checkpoint of a run: then it is that. Raises CheckpointError as
    `newest_checkpoint`.
    """
    newest = newest_checkpoint(path)
    try:
        if is_checkpoint(path) or not build_run(newest, read_record(newest)).train.patience:
            return newest
    except CheckpointError:
        return newest           # whoever reads it says what is wrong
    best = HeldOutLoss(steps_of(read_lines(path / FILE))).step
    return best_checkpoint(path, best) or newest


def opened_checkpoint(path: Path) -> Path:
    """`model_checkpoint`, with a UserWarning that names it where it is not the newest."""
    best = model_checkpoint(path)
    if best != newest_checkpoint(path):
        warnings.warn(f"{path}: its best checkpoint is read, {best.name}; for the newest name "
                      f"{newest_checkpoint(path)}", stacklevel=2)
    return best


def model_file(path: Path) -> Path:
    """The file that a model's weights are read from, of a run that of its `model_checkpoint`.

    Raises CheckpointError as `newest_checkpoint` and `weights.load`.
    """
    return weights_of(model_checkpoint(path)) if is_run(path) else file_at(path)


class HeldOutLoss:
    """Watches the evaluations of a run; `step` is that of the lowest, `lowest`."""

    def __init__(self, before: Iterable[Step] = ()) -> None:
        """Take what a run that is resumed has logged: the report of it is not repeated."""
        self.step, self.lowest = 0, math.inf
        self._last, self._above, self._reported = 0.0, 0, False
        for step in before:
            if step.val is not None:
                self.rises(step.step, step.val)

    def rises(self, step: int, val: float) -> bool:
        """Take the loss after `step`; whether the loss has begun to rise, True only once."""
        if val < self.lowest:
            self.step, self.lowest, self._above = step, val, 0
        else:
            self._above += 1
        self._last = val
        rising = self._above >= IN_A_ROW and not val <= (1 + MARGIN) * self.lowest
        first, self._reported = rising and not self._reported, self._reported or rising
        return first

    def exhausts(self, patience: int) -> bool:
        """Whether so many evaluations in a row were not below the lowest; never for 0."""
        return 0 < patience <= self._above

    def report(self, run_folder: Path) -> str:
        """Since when the loss rises, and which checkpoint is the best, on one line."""
        words = (f"the held-out loss has been rising since step {self.step:,}, from "
                 f"{self.lowest:.4f} to {self._last:.4f}")
        best = best_checkpoint(run_folder, self.step)
        if best is None:
            return words
        which = ("the best checkpoint" if step_of(best) == self.step else
                 "no checkpoint has that step, the newest before it")
        return f"{words}; {which} stays: {best}"
