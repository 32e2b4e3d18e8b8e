"""A study's folder: its own copy of the study, what it began with, and the state of every run.

    FOLDER/study.toml           the study as it was given
    FOLDER/about.json           machine, versions, corpus
    FOLDER/runs/NAME.toml       the settings of one run
    FOLDER/runs/NAME/           that run, as `npgpt train` writes it
    FOLDER/runs/NAME.json       seconds so far, and how it ended: exit code, last words
    FOLDER/runs/NAME.txt        what it wrote to stderr
    FOLDER/results.json         all that a report needs

A run holds its own folder: where `lab run` alone is killed, the next one waits until its runs have
saved.
"""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Literal, Mapping, Sequence, TypedDict, TypeVar

import numpy as np

from ..documents import check_type, read_json
from ..files import LOCK_FILE, InUse, locked, remove_partial, write_text
from ..text import Corpus
from ..training.checkpoint import checkpoints
from ..training.log import Number
from ..training.loop import CONFIG_FILE, RESULT_FILE
from ..training.settings import RunConfig, differences
from ..version import VERSION
from .study import Arm, Study, read_study

T = TypeVar("T")

STUDY_FILE = "study.toml"
ABOUT_FILE = "about.json"
DIVERGED = 4
"""The exit code of `npgpt train` for a run that diverged: a result, not a failure."""
Status = Literal["done", "diverged", "unfinished", "waiting"]


class Machine(TypedDict):
    """What a study ran on."""

    npgpt: str
    numpy: str
    python: str
    system: str
    processor: str
    cores: int | None


class CorpusFacts(TypedDict, total=False):
    """What is noted of a study's text; empty until it was read."""

    name: str
    fingerprint: str
    tokenizer: str
    vocabulary: int
    train_tokens: int
    held_back_tokens: int
    unigram: float
    """Cross-entropy in nats of counting tokens alone."""


class About(TypedDict, total=False):
    """The content of about.json."""

    made_with: list[Machine]
    corpus: CorpusFacts


class Ending(TypedDict, total=False):
    """The content of NAME.json."""

    exit: int | None
    """None while the run goes."""
    said: str
    """The last words of a run that diverged."""
    seconds: float
    """So far."""


class Result(TypedDict, total=False):
    """The content of result.json."""

    step: int
    val_loss: Number


@dataclass(frozen=True)
class Run:
    """One run of a study, and what is on the disk of it."""

    folder: Path
    """That of the study."""
    arm: Arm
    seed: int
    config: RunConfig

    @property
    def name(self) -> str:
        """Such as layernorm-gelu-seed1."""
        return f"{self.arm.slug}-seed{self.seed}"

    @property
    def place(self) -> Path:
        """The run folder that `npgpt train` writes."""
        return self.folder / "runs" / self.name

    def beside(self, suffix: str) -> Path:
        """A file of this run beside its folder: .toml, .json or .txt."""
        return self.place.with_name(self.name + suffix)

    @property
    def begun(self) -> bool:
        """Whether it is continued rather than started."""
        return bool(checkpoints(self.place)) or (self.place / CONFIG_FILE).is_file()

    def ending(self) -> Ending:
        """The content of NAME.json, {} if there is none."""
        return read_record(self.beside(".json"), Ending)

    def result(self) -> Result:
        """The content of result.json, if the run has finished; else {}."""
        found = read_record(self.place / RESULT_FILE, Result)
        return found if found.get("step") == self.config.train.max_steps else {}

    def status(self) -> Status:
        """What became of it so far."""
        if self.result():
            return "done"
        if self.place.is_dir() and self.ending().get("exit") == DIVERGED:
            return "diverged"
        return "unfinished" if self.begun else "waiting"


def runs_of(folder: Path, study: Study) -> list[Run]:
    """Every run of the study, seeds outermost."""
    return [Run(folder, arm, seed, study.run_config(arm, seed)) for arm, seed in study.runs()]


@contextmanager
def held(
    folder: Path, patience: float = 0.0, report: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold a study's folder. Raises ValueError if another `lab run` holds it, or runs it started.

    Runs whose `lab run` was killed are saving: it first waits for them for `patience` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        remove_partial(folder / "runs")
        deadline = time.monotonic() + patience
        while runs := _left_behind(folder):
            problem = (f"{folder} is in use by runs that a killed lab run left behind: "
                       f"{', '.join(runs)}")
            if time.monotonic() >= deadline:
                raise ValueError(f"{problem}; wait until they end, or end them")
            if report is not None:
                report(f"{problem}; waiting until they have saved")
                report = None
            time.sleep(0.05)
        yield


def _left_behind(folder: Path) -> list[str]:
    """The runs that a process is training, each with that process."""
    runs = []
    for place in sorted(folder.glob(f"runs/*/{LOCK_FILE}")):
        try:
            with locked(place.parent):
                pass
        except InUse as problem:
            runs.append(f"{place.parent.name} (process {problem.process})")
    return runs


def adopt(folder: Path, study: Study) -> None:
    """Copy the study into its folder; on continuing, check that it is still the same one.

    Seeds and arms may be added, words and comparisons changed. Raises ValueError, which names it,
    for any other change.
    """
    place = folder / STUDY_FILE
    if place.exists():
        change = _change(read_study(place), study)
        if change:
            raise ValueError(f"{folder} holds a study with other settings: {change}; "
                             f"choose another --out, or restore the study")
    elif (folder / "runs").is_dir():
        raise ValueError(f"{folder} has runs but no {STUDY_FILE}; choose another --out")
    write_text(place, study.text)


def _change(old: Study, new: Study) -> str:
    """The first difference between two studies that makes runs of one useless to the other."""
    if old.name != new.name:
        return f"its name was {old.name!r} and is {new.name!r}"
    gone = [str(seed) for seed in old.seeds if seed not in new.seeds]
    if gone:
        return f"seed {gone[0]} is gone"
    arms = {arm.name: arm for arm in new.arms}
    for arm in old.arms:
        if arm.name not in arms:
            return f"arm {arm.name!r} is gone"
        before, after = old.run_config(arm, 0), new.run_config(arms[arm.name], 0)
        for table, key, was, now in differences(before.to_dict(), after.to_dict()):
            return f"{table}.{key} of arm {arm.name!r} was {was!r} and is {now!r}"
    return ""


def note_beginning(folder: Path, corpus: Corpus, machines: Sequence[Machine] = ()) -> None:
    """Write about.json: the kinds of `machines` (default: this one) and versions, and the corpus.

    Raises ValueError if the study began with another text.
    """
    about = read_record(folder / ABOUT_FILE, About)
    known = about.get("corpus", {}).get("fingerprint", corpus.fingerprint)
    if known != corpus.fingerprint:
        raise ValueError(f"{corpus.name} is no longer the text that {folder} began with; "
                         f"restore it, or choose another --out")
    made_with = about.get("made_with", [])
    for one in machines or [machine()]:
        if one not in made_with:
            made_with.append(one)
    write_json(folder / ABOUT_FILE, {
        "made_with": made_with,
        "corpus": {
            "name": corpus.name, "fingerprint": corpus.fingerprint,
            "tokenizer": corpus.tokenizer.name, "vocabulary": corpus.tokenizer.vocab_size,
            "train_tokens": len(corpus.train), "held_back_tokens": len(corpus.val),
            "unigram": corpus.unigram_entropy(),
        },
    })


def machine() -> Machine:
    """Versions and processor of this machine."""
    return {"npgpt": VERSION, "numpy": np.__version__, "python": platform.python_version(),
            "system": platform.system(), "processor": _processor(), "cores": os.cpu_count()}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def read_record(path: Path, kind: type[T]) -> T:
    """The content of one of a study's JSON files, {} if there is none.

    They are written whole or not at all. Raises ValueError for one that is damaged.
    """
    try:
        return check_type(read_json(path) if path.exists() else {}, kind, path)
    except ValueError as error:
        raise ValueError(f"{error}; delete the file to go on without it") from None


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON object, whole or not at all."""
    write_text(path, json.dumps(content, allow_nan=False) + "\n")
