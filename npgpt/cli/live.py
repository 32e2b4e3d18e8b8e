"""npgpt train --live: the loss as a chart above the bar, drawn anew while the run goes on."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Callable

from ..display.terminal import WIDTH
from ..training.curves import Curves, RunCurves, read_curves
from ..training.log import Step
from ..training.progress import Progress
from ..training.settings import TrainSettings

SECONDS_BETWEEN_CHARTS = 1.0
# a chart must not take more of the run's time than this
FRACTION = 0.02
# in fewer rows or columns there is no chart
LEAST_ROWS, LEAST_COLUMNS = 12, 40
# beside the rows of the chart itself: title, axis, labels, the bar, and a row to spare
OTHER_ROWS = 6


class LiveProgress(Progress):
    """Progress with a chart of the loss in a terminal; elsewhere no different from Progress."""

    def __init__(
        self, settings: TrainSettings, first_step: int, run_folder: Path,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Once `stopping` gives True the screen stays as it is, below it what was said of that."""
        super().__init__(settings, first_step)
        self._folder, self._stopping = run_folder, stopping
        self._steps: list[Step] = []
        self._shown: list[str] = []
        self._due = 0.0
        self._live = sys.stderr.isatty()

    def __exit__(self, *exception: object) -> None:
        self._draw()
        super().__exit__(*exception)

    def step(self, record: dict[str, object]) -> None:
        """Move the bar, and draw the chart if a second has passed or there is a new loss."""
        step = Step.of(record)
        if self._live and step is not None:
            # the first time all that a resumed run has logged, this step included
            self._steps += [step] if self._steps else read_curves(self._folder).steps
            started = time.perf_counter()
            if started >= self._due or "val" in record:
                self._draw()
                took = time.perf_counter() - started
                self._due = started + max(SECONDS_BETWEEN_CHARTS, took / FRACTION)
        super().step(record)

    def note(self, text: str) -> None:
        """Write a remark above the chart."""
        self._erase()
        super().note(text)
        self._draw()

    def _write(self, text: str) -> None:
        self._erase()
        super()._write(text)
        self._draw()

    def _draw(self) -> None:
        columns, rows = shutil.get_terminal_size((WIDTH, 24))
        if not self._steps or self._stopping() or columns < LEAST_COLUMNS or rows < LEAST_ROWS:
            return
        curves = Curves([RunCurves(self._folder, self._steps)])
        lines = curves.loss_chart(min(WIDTH, columns - 1), min(14, rows - OTHER_ROWS))
        self._erase()
        self._bar.clear()
        self._bar.fp.write("\n".join([*lines, ""]))
        self._shown = lines
        self._bar.refresh()

    def _erase(self) -> None:
        """Clear the bar, and the chart above it."""
        if not self._shown or self._stopping():
            return
        columns = shutil.get_terminal_size((WIDTH, 24)).columns
        # a terminal that was made narrower has wrapped the lines
        rows = sum(-(-max(1, len(line)) // columns) for line in self._shown)
        self._bar.clear()
        self._bar.fp.write(f"\r\033[{rows}A\033[J")
        self._bar.fp.flush()
        self._shown = []
