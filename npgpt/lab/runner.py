"""Running a study: real `npgpt train` processes, several at a time, each of them resumable.

A stopped or killed study continues where it stood and ends with the numbers of an uninterrupted
one: each run continues from its last checkpoint bit for bit, and every run computes with the same
number of threads however many go at a time. Seeds are outermost, so a study stopped early has
complete seeds. A run that diverges is a result; any other failure stops the study, and the other
runs are saved. If `lab run` itself is killed, its runs save and stop, and the next call waits for
that, at most a minute; then it names a run that still goes.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Protocol

from ..checked import checked
from ..documents import open_regular
from ..files import write_text
from ..ids import check_integer
from ..text import load_corpus
from ..training.checkpoint import checkpoints
from ..training.log import FILE as LOG_FILE
from ..training.log import record_of
from ..training.tasks import check_length
from .folder import DIVERGED, Run, adopt, held, note_beginning, runs_of, write_json
from .processes import INTERRUPTED, Here, Process, Starter
from .results import write_results
from .study import Study

_POLL_SECONDS = 0.1
# how often a run's time is written down, and so how much of it a kill may lose
NOTE_SECONDS = 1.0
# how long runs that a killed `lab run` left behind get to end their step and save
PATIENCE_SECONDS = 60.0


class Reporter(Protocol):
    """What a study reports while it runs; the command line draws it."""

    def ready(self) -> None:
        """Everything was checked; the runs begin."""

    def started(self, run: Run, step: int) -> None:
        """A run goes on from that step."""

    def finished(self, run: Run, status: str) -> None:
        """A run is done or has diverged."""

    def going(self, runs: list[tuple[Run, int]], steps: int, total_steps: int) -> None:
        """The runs that go and their steps; steps of the whole study so far, and in the end."""


@dataclass(frozen=True)
class Outcome:
    """How `run_study` ended."""

    reason: str
    """finished, interrupted, out of time or failed."""
    exit_code: int
    """Of the run that failed, else 0."""
    message: str
    """Last words of the run that failed."""
    left: int
    """Runs that are not done."""


@dataclass
class _Going:
    run: Run
    process: Process
    before: float
    """Seconds that the run had before it was continued."""
    started: float
    noted: float = 0.0

    def note(self, code: int | None) -> None:
        """Write down all the time that the run has had and, unless `code` is None, how it ended."""
        now = time.monotonic()
        if code is not None or now - self.noted >= NOTE_SECONDS:
            self.noted = now
            write_json(self.run.beside(".json"), {
                "exit": code, "said": _last_line(self.run) if code == DIVERGED else "",
                "seconds": round(self.before + now - self.started, 1),
            })


@checked
def run_study(
    folder: Path | str, study: Study, reporter: Reporter, *, jobs: int | None = None,
    only: list[str] | None = None, max_minutes: float = 0.0,
    should_stop: Callable[[], bool] = lambda: False, report: Callable[[str], None] | None = None,
    starter: Starter | None = None,
) -> Outcome:
    """Run what is left of the study in `folder`, and write results.json.

    jobs            runs at a time; None is one per core
    only            names of arms; None is all
    max_minutes     then save and stop; 0 is no limit
    should_stop     asked several times a second; True saves and stops
    report          gets messages: on the corpus, and on runs that are waited for
    starter         who starts the runs, instead of `jobs`; None is this machine

    Raises ValueError for invalid settings and for a folder that is in use or holds another study;
    CorpusError for a corpus that cannot be read.
    """
    folder = Path(folder)
    if starter is None:
        starter = Here(check_integer("jobs", (os.cpu_count() or 1) if jobs is None else jobs, 1))
    if not 0 <= max_minutes < math.inf:
        raise ValueError(f"max_minutes={max_minutes} must be a number of at least 0")
    wanted = None if only is None else {study.arm(name).name for name in only}
    deadline = time.monotonic() + 60.0 * (max_minutes or math.inf)

    def why_stop() -> str:
        if should_stop():
            return "interrupted"
        return "out of time" if time.monotonic() > deadline else ""

    with held(folder, PATIENCE_SECONDS, report):
        adopt(folder, study)
        runs = runs_of(folder, study)
        # read once here, so that the runs find its tokens in the cache
        config = runs[0].config
        corpus = load_corpus(config.data.corpus, config.data.tokenizer, config.data.val_fraction,
                             report=report, special=config.data.special)
        check_length(config, corpus)
        (folder / "runs").mkdir(exist_ok=True)
        mine = [run for run in runs if wanted is None or run.arm.name in wanted]
        team = _Team(mine, reporter, starter)
        try:
            note_beginning(folder, corpus, starter.begin(folder))
            write_results(folder)
            reporter.ready()
            reason = team.work(why_stop, lambda: write_results(folder))
        finally:
            team.save()
            starter.close()
            write_results(folder)
        left = sum(run.status() in ("waiting", "unfinished") for run in mine)
        return Outcome(reason, team.exit_code, team.message, left)


class _Team:
    """The runs that go at one time; of one that failed, its exit code and its last words."""

    def __init__(self, runs: list[Run], reporter: Reporter, starter: Starter) -> None:
        self._queue = [run for run in runs if run.status() in ("waiting", "unfinished")]
        self._going: list[_Going] = []
        self._reporter, self._starter = reporter, starter
        self._steps_done = sum(run.config.train.max_steps for run in runs
                               if run not in self._queue)
        self._total = sum(run.config.train.max_steps for run in runs)
        self.exit_code, self.message = 0, ""

    def work(self, why_stop: Callable[[], str], on_end: Callable[[], object]) -> str:
        """Until nothing is left, or there is a reason to stop: that reason, or "finished"."""
        while self._queue or self._going:
            reason = why_stop()
            if reason:
                return reason
            while self._queue and len(self._going) < self._starter.jobs:
                self._start(self._queue.pop(0))
            for going in list(self._going):
                run, code = going.run, going.process.poll()
                going.note(code)
                if code is None:
                    continue
                self._going.remove(going)
                on_end()
                if code == INTERRUPTED:
                    return "interrupted"
                status = run.status()
                if status not in ("done", "diverged"):
                    how = f"was ended by signal {-code}" if code < 0 else f"exited with {code}"
                    self.message = f"{run.name}: {_last_line(run) or how}"
                    self.exit_code = code if code > 0 else 1
                    return "failed"
                self._steps_done += run.config.train.max_steps
                self._reporter.finished(run, status)
            steps = [(going.run, last_step(going.run)) for going in self._going]
            self._reporter.going(steps, self._steps_done + sum(n for _, n in steps), self._total)
            time.sleep(_POLL_SECONDS)
        return "finished"

    def save(self) -> None:
        """Ask every run that goes to save and stop, and wait until they have.

        If this is interrupted, the end of `alive` tells them to stop without saving.
        """
        for going in self._going:
            going.process.terminate()
        for going in self._going:
            going.note(going.process.wait())

    def _start(self, run: Run) -> None:
        saved = checkpoints(run.place)
        step = int(saved[-1].name.rpartition("-")[2]) if saved else 0
        if run.begun:
            arguments = ["--resume", str(run.place)]
        else:
            write_text(run.beside(".toml"), run.config.to_toml())
            arguments = ["--config", str(run.beside(".toml")), "--out", str(run.place)]
        process = self._starter.start(run, arguments)
        before = run.ending().get("seconds", 0.0)
        self._going.append(_Going(run, process, before, time.monotonic()))
        self._reporter.started(run, step)


def last_step(run: Run) -> int:
    """The newest step in the run's log, 0 if there is none."""
    try:
        with open_regular(run.place / LOG_FILE) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (1 << 16)))
            lines = file.read().splitlines()
    except OSError:
        return 0
    # the last may be torn by a kill, or being written
    records = (record_of(line) for line in reversed(lines))
    return next((int(record["step"]) for record in records if record), 0)


def _last_line(run: Run) -> str:
    try:
        lines = run.beside(".txt").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    words = [line.strip() for line in lines if line.strip()]
    return words[-1].removeprefix("npgpt: ") if words else ""
