"""The curves of a run, as its log has them: `plot` shows those of one or several.

    curves = plot("runs/python-docs", "runs/python-docs-2")
    print(curves)                   in a terminal; a notebook draws them by itself
    curves.save("curves.png")       or .svg, or .html, a page that needs nothing else
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Sequence

import numpy as np

from ..checked import checked
from ..display import drawing
from ..display.panels import Line, Panel, as_figure, as_text
from ..display.svg import HTML, fragment, whole_page
from ..display.terminal import WIDTH
from ..files import write_text
from ..suggest import one_line
from ..tape import Array
from .checkpoint import FOLDER as CHECKPOINTS
from .log import FILE, MEASURED, Step, read_lines, steps_of

# what is drawn, by the names that a line of the log has for it
TITLES = {"loss": "loss, nats per token", "lr": "learning rate", "grad_norm": "gradient norm",
          "tokens_per_second": "tokens per second"}
HELD_OUT = "dots: held out"
SUFFIXES = (*drawing.SUFFIXES, HTML)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class NotARun(ValueError):
    """What was given is there and has no log."""


@dataclass(frozen=True, eq=False)
class RunCurves:
    """The steps of a run, in order, each once."""

    place: Path
    """The folder that holds the log."""
    steps: Sequence[Step]
    damaged: int = 0
    """How many lines of the log are not records."""

    def curve(self, name: str) -> Array:
        """Step and value (N, 2) float64 of what was MEASURED under that name, where it was."""
        points = [(step.step, getattr(step, name)) for step in self.steps
                  if getattr(step, name) is not None]
        return np.array(points, dtype=np.float64).reshape(-1, 2)

    def lowest(self) -> tuple[int, float] | None:
        """The step of the lowest held-out loss, and that loss; None if none was measured."""
        points = [(s.step, s.val) for s in self.steps if s.val is not None]
        finite = [point for point in points if math.isfinite(point[1])]
        return min(finite, key=lambda point: point[1], default=None)


@checked
def read_curves(run: Path | str) -> RunCurves:
    """The curves of a run folder, of a checkpoint's run, or of a log.jsonl itself.

    Raises ValueError where there is no log, NotARun where something else is, and OSError where it
    cannot be read.
    """
    run = Path(run)
    if run.name == FILE:
        folder = run.parent
    elif run.absolute().parent.name == CHECKPOINTS and not (run / FILE).exists():
        folder = run.absolute().parent.parent
    else:
        folder = run
    if not (folder / FILE).exists():
        if not run.exists():
            raise ValueError(f"{run} does not exist")
        raise NotARun(f"{run} is not a run folder; npgpt train writes one")
    lines = read_lines(folder / FILE)
    return RunCurves(folder, steps_of(lines), sum(line.record is None for line in lines))


class Curves:
    """The curves of one or several runs, to be shown: `str`, `save`, or by a notebook."""

    def __init__(self, runs: Sequence[RunCurves], notes: Sequence[str] = ()) -> None:
        """Raises ValueError, one line, if no run has a step to show."""
        self.notes = [*notes, *(note for run in runs for note in _notes(run))]
        """What to say of the logs: one line for each that is damaged or has no steps."""
        self.runs = [run for run in runs if run.steps]
        if not self.runs:
            raise ValueError("; ".join(self.notes) or "expected at least one run")
        self.names = _names([run.place for run in self.runs])
        self.last = max(1.0, *(float(run.steps[-1].step) for run in self.runs))

    def panels(self, held_out: str = HELD_OUT) -> list[Panel]:
        """Loss, with the held-out loss and what distinguishes it; then one for each other curve."""
        only = len(self.runs) == 1
        found: dict[str, list[Line]] = {name: [] for name in MEASURED}
        for number, run in enumerate(self.runs):
            letter = "." if only else _LETTERS[number % len(_LETTERS)]
            for name, lines in found.items():
                x, y = run.curve(name).T
                if len(x):
                    mark = ("o" if only else letter.upper()) if name == "val" else letter
                    lines.append(Line(self.names[number], number, mark, x, y, name == "val"))
        titles = {**TITLES, "loss": f"{TITLES['loss']} ({held_out})"} if found["val"] else TITLES
        found["loss"] += found.pop("val")
        return [Panel(titles[name], lines, from_zero=name in ("lr", "tokens_per_second"))
                for name, lines in found.items() if lines]

    def table(self) -> list[tuple[str, ...]]:
        """A header, and for each run its name, last step, losses, and median tokens per second."""
        rows: list[tuple[str, ...]] = [
            ("run", "steps", "loss", "held out", "lowest", "at step", "tokens/s")]
        for name, run in zip(self.names, self.runs):
            val, lowest = _finite(run.curve("val")), run.lowest()
            speed = _finite(run.curve("tokens_per_second"))
            rows.append((
                name, f"{run.steps[-1].step:,}", _number(_end_of(_finite(run.curve("loss")))),
                _number(val[-1] if len(val) else None), _number(lowest and lowest[1]),
                f"{lowest[0]:,}" if lowest else "-",
                f"{np.median(speed):,.0f}" if len(speed) else "-"))
        return rows

    def text(self, width: int = WIDTH, height: int = 14, colour: bool = False) -> str:
        """Charts of characters and the table, in lines of at most `width` columns (40 or more)."""
        held_out = "o: held out" if len(self.runs) == 1 else "capital: held out"
        lines = as_text(self.panels(held_out), self.last, width=width, height=height, colour=colour)
        return "\n".join([*map(str.rstrip, lines), "", *self._rows(width)])

    def loss_chart(self, width: int = WIDTH, height: int = 14) -> list[str]:
        """The first of these charts alone, as lines."""
        return as_text(self.panels("o: held out")[:1], self.last, width=width, height=height)

    def _rows(self, width: int) -> list[str]:
        header, *rows = self.table()
        if len(rows) > 1:
            rows = [(f"{_LETTERS[n % len(_LETTERS)]}: {row[0]}", *row[1:])
                    for n, row in enumerate(rows)]
        columns = [max(map(len, column)) for column in zip(header, *rows)]
        # the last columns go first where a terminal is narrow
        shown = len(header)
        while shown > 3 and sum(columns[1:shown]) + 2 * shown + 10 > width:
            shown -= 1
        columns[0] = min(columns[0], width - sum(columns[1:shown]) - 2 * (shown - 1))
        return ["  ".join([one_line(row[0], columns[0]).ljust(columns[0]),
                           *(cell.rjust(size) for cell, size in zip(row[1:shown], columns[1:]))])
                for row in (header, *rows)]

    def html(self) -> str:
        """A page that needs nothing else, for a light or a dark screen."""
        return whole_page(", ".join(self.names), self._repr_html_())

    @checked
    def save(self, path: Path | str) -> None:
        """Write a picture, .png or .svg, or a page, .html.

        Raises ValueError for another ending, ImportError for a picture without matplotlib.
        """
        path = Path(path)
        check_path(path)
        if path.suffix == HTML:
            write_text(path, self.html())
        else:
            drawing.save(as_figure(self.panels(), self.names, self.last), path)

    def _repr_html_(self) -> str:
        return fragment(self.panels(), self.names, self.last, self.table())

    def __repr__(self) -> str:
        return self.text()


def plot(*runs: Path | str) -> Curves:
    """The curves of one or several runs: print them, save them, or let a notebook show them.

    A run is its folder, one of its checkpoints, or a log.jsonl. Raises ValueError where there is no
    log, or none with a step, and OSError where one cannot be read; of several, what is there but is
    not a run gets a note.
    """
    found, notes = [], []
    for run in runs:
        try:
            found.append(read_curves(run))
        except NotARun as error:
            notes.append(str(error))
    return Curves(found, notes)


def check_path(path: Path) -> None:
    """ValueError unless path ends as a picture or a page; FileNotFoundError without its folder."""
    drawing.check_path(path, SUFFIXES)


def _notes(run: RunCurves) -> Iterable[str]:
    file = run.place / FILE
    if run.damaged:
        yield f"{file}: {run.damaged} damaged line{'s' if run.damaged > 1 else ''} left out"
    if not run.steps:
        yield f"{file} has no steps yet"
        return
    broken = next((s.step for s in run.steps if s.loss is not None and not math.isfinite(s.loss)
                   or s.grad_norm is not None and not math.isfinite(s.grad_norm)), None)
    if broken is not None:
        yield f"{run.place} diverged at step {broken:,}"


def _names(places: Sequence[Path]) -> list[str]:
    """The folders' names, with as many folders above as it takes to distinguish them."""
    parts = [place.resolve().parts for place in places]
    for n in range(1, max(map(len, parts)) + 1):
        names = [one_line("/".join(path[-n:])) for path in parts]
        if len(set(names)) == len(set(parts)):
            break
    return names


def _finite(curve: Array) -> Array:
    """The values (N,) of a curve that are finite: a run that diverged ends with others."""
    values: Array = curve[:, 1]
    return values[np.isfinite(values)]


def _end_of(values: Array) -> float | None:
    """The mean of the last twentieth, at least one: a single batch says little; None for none."""
    return float(np.mean(values[-max(1, len(values) // 20):])) if len(values) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
