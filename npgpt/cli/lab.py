"""npgpt lab: studies, many training runs that answer one question, and their reports."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ..display.bars import progress_bar
from ..display.terminal import duration
from ..lab.folder import Run
from ..lab.ranks import Everywhere, on_ranks
from ..lab.report import write_report
from ..lab.results import number
from ..lab.runner import run_study
from ..lab.study import load_study, read_study, shipped
from ..suggest import unknown
from .console import interruption, note
from .parser import Parser

DESCRIPTION = "Run a study and report its results."
EPILOG = """\
examples:
  npgpt lab list                         the studies that come with npgpt
  npgpt lab run small                    minutes; writes studies/small
  npgpt lab report small                 studies/small/report.html and report.md
  npgpt lab run my-study.toml --jobs 4   a study of your own
  npgpt lab run my-study.toml            again after Ctrl-C or a kill: continues
  mpiexec -n 8 npgpt lab run small --mpi   a run on each of eight ranks

On Ctrl-C the runs are saved first. The same command continues the study, and
ends with the same numbers. Seeds and arms may be added to a study's file;
finished runs stay.
exit codes: 0 done, 2 a wrong setting, 3 a file cannot be read or written, 130
interrupted
"""
FOLDER = Path("studies")
ACTIONS = ("list", "run", "report")


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "npgpt lab list | run STUDY [options] | report STUDY [options]"
    parser.add_argument("action", metavar="ACTION", help=", ".join(ACTIONS))
    parser.add_argument("study", nargs="?", metavar="STUDY",
                        help="the name of a shipped study, or a TOML file; for report also a "
                             "study's folder or results.json")
    parser.add_argument("--out", type=Path, metavar="FOLDER",
                        help="the study's folder (default studies/NAME); for report, where the "
                             "pages go (default: the study's folder)")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="run: training runs at a time (default: one per core)")
    parser.add_argument("--mpi", action="store_true", default=None,
                        help="run: started by mpiexec or srun, one run at a time on each rank")
    parser.add_argument("--only", action="append", metavar="ARM",
                        help="run: this arm only; may be repeated")
    parser.add_argument("--max-minutes", type=float, metavar="M",
                        help="run: save and stop after this many minutes")


def run(args: argparse.Namespace) -> int:
    """List, run or report."""
    if args.action not in ACTIONS:
        raise unknown("action", args.action, ACTIONS)
    for flag in ("jobs", "mpi", "only", "max_minutes"):
        if args.action != "run" and getattr(args, flag) is not None:
            raise ValueError(f"--{flag.replace('_', '-')} belongs to lab run, not to lab "
                             f"{args.action}")
    if args.action == "list":
        if args.study is not None:
            raise ValueError(f"lab list takes no study; got {args.study!r}")
        for name, path in shipped().items():
            study = read_study(path)
            steps = sum(study.run_config(arm, seed).train.max_steps for arm, seed in study.runs())
            print(f"{name:16} {study.title}")
            print(f"{'':16} {len(study.arms)} arms x {len(study.seeds)} seeds, "
                  f"{steps:,} steps in all")
        return 0
    if args.study is None:
        raise ValueError(f"lab {args.action} needs a study: {', '.join(shipped())}, or a TOML file")
    if args.action == "report":
        return _report(args)
    if not args.mpi:
        return _run(args)
    with on_ranks() as ranks:
        return 0 if ranks is None else _run(args, ranks)


def _run(args: argparse.Namespace, ranks: Everywhere | None = None) -> int:
    if ranks is not None and args.jobs is not None:
        raise ValueError("--jobs and --mpi exclude each other: every rank trains one run at a time")
    if ranks is not None and ranks.jobs == 1:
        note("--mpi: this is the only rank; mpiexec -n 8 npgpt lab run --mpi ... starts eight")
    study = load_study(args.study)
    folder = FOLDER / study.name if args.out is None else args.out
    head = (f"study      {study.title}\n"
            f"runs       {len(study.arms)} arms x {len(study.seeds)} seeds, in {folder}")
    if ranks is not None:
        head += f"\nranks      {ranks.jobs}, each of them trains one run at a time"
    started = time.monotonic()
    with interruption() as happened, StudyProgress(head) as progress:
        outcome = run_study(
            folder, study, progress, jobs=args.jobs, only=args.only,
            max_minutes=args.max_minutes or 0.0, should_stop=happened, report=note,
            starter=ranks,
        )
    took = duration(time.monotonic() - started)
    again = f"npgpt lab run {args.study}" + (f" --out {folder}" if args.out is not None else "")
    if ranks is not None:
        again = f"mpiexec -n {ranks.jobs} {again} --mpi"
    if outcome.reason == "failed":
        note(outcome.message)
        print(f"stopped    the other runs are saved; {outcome.left} are left\ncontinue   {again}")
        return outcome.exit_code if outcome.exit_code in (2, 3) else 1
    if outcome.reason != "finished":
        print(f"{outcome.reason} after {took}; saved, {outcome.left} runs are left\n"
              f"continue   {again}")
        return 130 if outcome.reason == "interrupted" else 0
    print(f"done       in {took}; numbers in {folder / 'results.json'}")
    print(f"report     npgpt lab report {folder}")
    return 0


def _report(args: argparse.Namespace) -> int:
    given = Path(args.study)
    source = given if given.exists() and given.suffix != ".toml" else (
        FOLDER / load_study(args.study).name)
    if not source.exists():
        raise ValueError(f"{source} does not exist; run the study first: "
                         f"npgpt lab run {args.study}")
    to = args.out or (source if source.is_dir() else source.parent)
    for path in write_report(source, to, report=note):
        print(f"{path}  {path.stat().st_size:,} bytes")
    return 0


class StudyProgress:
    """A line per run that starts or ends; in a terminal also one that is kept up to date.

    `head` is printed before the first run. A Reporter of `npgpt.lab.runner`.
    """

    SECONDS_BETWEEN_LINES = 60.0

    def __init__(self, head: str) -> None:
        self._head = head
        self._started = self._spoke = time.monotonic()
        self._first_steps: int | None = None
        self._bar = progress_bar(bar_format="{desc}", file=sys.stdout, leave=False,
                                 dynamic_ncols=True)

    def __enter__(self) -> StudyProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def ready(self) -> None:
        """Every setting is checked and the runs begin."""
        print(self._head, flush=True)

    def started(self, run: Run, step: int) -> None:
        """A run starts, or continues from `step`."""
        self._put(f"continue   {run.name} from step {step:,}" if step else f"start      {run.name}")

    def finished(self, run: Run, status: str) -> None:
        """A run is done or has diverged."""
        seconds = run.ending().get("seconds", 0.0)
        if status == "diverged":
            self._put(f"diverged   {run.name}: {run.ending().get('said', '')}"[:79])
        else:
            loss = number(run.result()["val_loss"])
            self._put(f"done       {run.name}  val loss {loss:.4f}  {duration(seconds)}")

    def going(self, runs: list[tuple[Run, int]], steps: int, total_steps: int) -> None:
        """Redraw the line, at most a few times a second."""
        now = time.monotonic()
        if self._first_steps is None:
            self._first_steps, self._started = steps, now
        if now - self._spoke < (self.SECONDS_BETWEEN_LINES if self._bar.disable else 0.5):
            return
        self._spoke = now
        parts = [f"{steps / total_steps:4.0%}"]
        gained = steps - self._first_steps
        if gained:
            left = (now - self._started) / gained * (total_steps - steps)
            parts.append(f"{duration(left)} left")
        parts += [f"{run.name} {step / run.config.train.max_steps:.0%}" for run, step in runs]
        line = "  ".join(parts)
        if self._bar.disable:
            self._put(line)
        else:
            self._bar.set_description_str(line[:79])

    def _put(self, line: str) -> None:
        self._bar.write(line[:79], file=sys.stdout)
        sys.stdout.flush()
