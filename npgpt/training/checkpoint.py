"""Checkpoints: everything that a run needs to continue bit for bit, in one folder.

    RUN/checkpoints/step-00000500/
        model.safetensors, config.json      a Hugging Face folder: other tools can read it
        optimizer.safetensors               AdamW's two moments, as m.NAME and v.NAME
        run.json                            step, settings, tokenizer, the corpus's fingerprint

The folder is filled beside its place, flushed and renamed, so that a folder with its final name is
always whole. Batches and dropout are pure functions of (seed, step): the step is all the random
state there is.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, TypedDict

import numpy as np

from .. import weights
from ..config import GPT2Config
from ..documents import check_type, one_line, read_json
from ..fast.ops import FAST
from ..files import creating_folder
from ..ids import check_integer
from ..ops import Ops
from ..params import Params
from ..text import Tokenizer, tokenizer_from_dict
from ..weights import CheckpointError
from ..weights.safetensors_file import read_arrays, write_safetensors
from .settings import RunConfig, build

FOLDER = "checkpoints"
RUN_FILE = "run.json"
OPTIMIZER_FILE = "optimizer.safetensors"
_NAME = re.compile(r"step-(\d{8})")


@dataclass
class TrainingState:
    """A run at one moment: after `step` updates."""

    step: int
    config: GPT2Config
    params: Params
    mean: Params
    """AdamW's running mean of each gradient."""
    square: Params
    """AdamW's running mean of each squared gradient."""
    run: RunConfig
    tokenizer: Tokenizer
    corpus_fingerprint: str
    ops: Ops = FAST
    """What it computes with; not saved: whoever resumes with ops of their own sets them again."""


class RunRecord(TypedDict):
    """The content of run.json."""

    step: int
    run: dict[str, dict[str, Any]]
    tokenizer: Mapping[str, object]
    corpus_fingerprint: str


def save_checkpoint(run_folder: Path, state: TrainingState) -> Path:
    """Write the state as RUN/checkpoints/step-N, then delete all but the newest few.

    Raises OSError for a full disk or an unwritable folder; what was there before stays.
    """
    place = run_folder / FOLDER / f"step-{state.step:08d}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        with creating_folder(place) as beside:
            weights.save(beside, state.config, state.params)
            moments = {f"m.{name}": array for name, array in state.mean.items()}
            moments |= {f"v.{name}": array for name, array in state.square.items()}
            write_safetensors(beside / OPTIMIZER_FILE, moments)
            record: RunRecord = {
                "step": state.step, "run": state.run.to_dict(),
                "tokenizer": state.tokenizer.to_dict(),
                "corpus_fingerprint": state.corpus_fingerprint,
            }
            (beside / RUN_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for old in checkpoints(run_folder)[:-state.run.train.keep_checkpoints]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def checkpoints(run_folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    folder = run_folder / FOLDER
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and _NAME.fullmatch(p.name))


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder or one of its checkpoints."""
    return (path / FOLDER).is_dir() or (path / RUN_FILE).exists()


def newest_checkpoint(path: Path) -> Path:
    """`path` itself if it is a checkpoint, else the newest one of the run at `path`."""
    if (path / RUN_FILE).exists():
        return path
    found = checkpoints(path)
    if not found:
        raise CheckpointError(f"{path} holds no checkpoint; pass a run folder of npgpt train")
    return found[-1]


def load_checkpoint(path: Path) -> TrainingState:
    """The whole state of a run folder's newest checkpoint, or of one checkpoint folder.

    Raises CheckpointError, saying which file does not fit and how.
    """
    folder = newest_checkpoint(path)
    with _naming_the_one_before(folder):
        record = read_record(folder)
        config, mapped, tokenizer = _load_model(folder, record)
        # a copy: what is mapped from the file would go when the file does
        params = {name: np.array(array) for name, array in mapped.items()}
        mean, square = _load_moments(folder / OPTIMIZER_FILE, params)
    return TrainingState(record["step"], config, params, mean, square,
                         build(record["run"]), tokenizer, record["corpus_fingerprint"])


def set_aside_newer(run_folder: Path, step: int) -> None:
    """Rename checkpoints of steps after `step`: a run that goes on from there writes its own."""
    for path in checkpoints(run_folder):
        if int(path.name.removeprefix("step-")) > step:
            number, aside = 1, path.with_name(f"aside-{path.name}")
            while aside.exists():
                number += 1
                aside = path.with_name(f"aside-{number}-{path.name}")
            path.rename(aside)


def read_model(path: Path) -> tuple[GPT2Config, Params, Tokenizer]:
    """Config, parameters and tokenizer of a run folder's newest checkpoint, or of a checkpoint.

    Raises CheckpointError, saying which file is damaged and how.
    """
    folder = newest_checkpoint(path)
    with _naming_the_one_before(folder):
        return _load_model(folder, read_record(folder))


def _load_model(folder: Path, record: RunRecord) -> tuple[GPT2Config, Params, Tokenizer]:
    config, params = weights.load(folder)
    try:
        tokenizer = tokenizer_from_dict(record["tokenizer"])
    except ValueError as error:
        raise CheckpointError(f"{folder / RUN_FILE}: {error}") from None
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(
            f"{folder / RUN_FILE}: its tokenizer has {tokenizer.vocab_size} tokens, the model's "
            f"vocab_size is {config.vocab_size}"
        )
    bad = [name for name, array in params.items() if not np.isfinite(array).all()]
    if bad:
        raise CheckpointError(f"{folder}: {', '.join(bad)} hold NaN or infinite numbers")
    return config, params, tokenizer


@contextmanager
def _naming_the_one_before(folder: Path) -> Iterator[None]:
    """A checkpoint that cannot be read is no dead end: say which one stands before it."""
    try:
        yield
    except CheckpointError as error:
        older = [path for path in checkpoints(folder.parent.parent) if path.name < folder.name]
        hint = f"; the one before it is {older[-1]}" if older else ""
        raise CheckpointError(f"{error}{hint}") from None


def read_record(folder: Path) -> RunRecord:
    """The content of a checkpoint's run.json; raises CheckpointError, saying what is wrong."""
    path = folder / RUN_FILE
    try:
        found = check_type(read_json(path, CheckpointError), RunRecord, path, CheckpointError)
        check_integer("step", found["step"], 0)
        build(found["run"])
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path}: {one_line(str(error))}") from None
    return found


def _load_moments(path: Path, params: Params) -> tuple[Params, Params]:
    moments, problems = read_arrays(path), []
    expected = {f"{kind}.{name}": array for kind in ("m", "v") for name, array in params.items()}
    for name, array in expected.items():
        found = moments.get(name)
        if found is None:
            problems.append(f"{name} is missing")
        elif found.shape != array.shape or found.dtype != array.dtype:
            problems.append(f"{name} is {found.dtype} {found.shape}, "
                            f"the parameter {array.dtype} {array.shape}")
    if problems:
        raise CheckpointError(f"{path}: " + "; ".join(problems))
    mean, square = ({name: moments[f"{kind}.{name}"] for name in params} for kind in ("m", "v"))
    return mean, square
