"""Checkpoints: everything that a run needs to continue bit for bit, in one folder.

    RUN/checkpoints/step-00000500/
        model.safetensors, config.json      a Hugging Face folder: other tools can read it; of a
            run that trains low-rank updates alone, adapter_model.safetensors, adapter_config.json
        optimizer.safetensors               AdamW's two moments, as m.NAME and v.NAME
        run.json                            step, settings, tokenizer, the corpus's fingerprint
        checksums.json                      size and crc32 of every file, see weights.checksums
        keep                                empty; a checkpoint that has it is never deleted: an
            adapter was trained on its weights

The folder is filled beside its place, flushed and renamed, so that a folder with its final name is
always whole. Whoever reads it compares the files with their checksums, and what is written twice
with its copies: a checkpoint of an earlier version has no checksums, but as many copies. Batches
and dropout are pure functions of (seed, step): the step is all the random state there is.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Container, Iterator, Mapping, TypedDict

import numpy as np

from .. import weights
from ..checked import checked
from ..config import GPT2Config
from ..documents import check_type, read_json
from ..files import aside, creating_folder, remove_folder
from ..params import Params
from ..text import Tokenizer, tokenizer_from_dict
from ..weights import CheckpointError
from ..weights.checksums import CHECKSUMS, damaged_files, measured, write_checksums
from ..weights.configs import CONFIG, written_config
from ..weights.errors import bad_file, named, shown
from ..weights.huggingface import WEIGHTS
from ..weights.peft import ADAPTER, save_adapter
from ..weights.reading import file_at, read
from ..weights.safetensors_file import read_arrays, read_safetensors, write_safetensors
from ..weights.stored import Stored
from .adapters import base_crc32, base_of_run, load_adapted, trains_adapter
from .frozen import frozen_names
from .settings import RunConfig, build, split_labels
from .state import TrainingState

FOLDER = "checkpoints"
RUN_FILE = "run.json"
OPTIMIZER_FILE = "optimizer.safetensors"
KEPT_FILE = "keep"
_NAME = re.compile(r"step-\d{8}")


class _Checked(TypedDict, total=False):
    checksums: str
    """The name of the file of checksums, so that its loss is noticed."""
    base: str
    """Of a run that saves updates alone: the crc32 of the weights that they belong to."""


class RunRecord(_Checked):
    """The content of run.json."""

    step: int
    run: dict[str, dict[str, object]]
    tokenizer: Mapping[str, object]
    corpus_fingerprint: str


def save_checkpoint(run_folder: Path, state: TrainingState, best: int | None = None) -> Path:
    """Write the state as RUN/checkpoints/step-N, then delete all but the newest few.

    The newest one up to the step `best`, that of the lowest held-out loss, stays too. Raises
    OSError for a full disk or an unwritable folder; what was there before stays.
    """
    place = run_folder / FOLDER / f"step-{state.step:08d}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        with creating_folder(place) as beside:
            if adapter := trains_adapter(state.run, state.config):
                base = base_of_run(state.run, checkpoints(run_folder))
                save_adapter(beside, state.config, state.params, base)
                if is_checkpoint(Path(base)):
                    with suppress(OSError):     # another's folder, perhaps read-only
                        (Path(base) / KEPT_FILE).touch()
            else:
                weights.save(beside, state.config, state.params)
            write_safetensors(beside / OPTIMIZER_FILE, state.moments())
            record: RunRecord = {
                "step": state.step, "run": state.run.to_dict(),
                "tokenizer": state.tokenizer.to_dict(),
                "corpus_fingerprint": state.corpus_fingerprint, "checksums": CHECKSUMS,
            }
            if adapter:
                record["base"] = base_crc32(state.params)
            (beside / RUN_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            write_checksums(beside, measured(beside))
    kept = None if best is None else best_checkpoint(run_folder, best)
    for old in checkpoints(run_folder)[:-state.run.train.keep_checkpoints]:
        if old != kept and not (old / KEPT_FILE).exists():
            remove_folder(old)
    return place


def checkpoints(run_folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    folder = run_folder / FOLDER
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and _NAME.fullmatch(p.name))


def best_checkpoint(run_folder: Path, step: int) -> Path | None:
    """The newest whole checkpoint of a run up to `step`; None if there is none."""
    found = [path for path in checkpoints(run_folder) if step_of(path) <= step]
    return found[-1] if found else None


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder or one of its checkpoints."""
    return (path / FOLDER).is_dir() or is_checkpoint(path)


def is_checkpoint(path: Path) -> bool:
    """Whether `path` is a checkpoint, even one that has lost a file."""
    return any((path / name).exists() for name in (RUN_FILE, OPTIMIZER_FILE))


def newest_checkpoint(path: Path) -> Path:
    """`path` itself if it is a checkpoint, else the newest one of the run at `path`."""
    if is_checkpoint(path):
        return path
    found = checkpoints(path)
    if not found:
        raise CheckpointError(f"{path} holds no checkpoint; pass a run folder of npgpt train")
    return found[-1]


@checked
def load_checkpoint(path: Path | str) -> TrainingState:
    """The whole state of a run folder's newest checkpoint, or of one checkpoint folder.

    Raises CheckpointError, saying which file is damaged or does not fit, how, and which checkpoint
    before it is sound.
    """
    folder = newest_checkpoint(Path(path))
    with _naming_the_one_before(folder):
        return _load(folder)


def _load(folder: Path) -> TrainingState:
    record = _checked_record(folder)
    run = build_run(folder, record)
    config, mapped, tokenizer = _load_model(folder, record)
    # a copy: what is mapped from the file would go when the file does
    params = {name: np.array(array) for name, array in mapped.items()}
    trained = trained_of(run, config, params)
    stored_moments(folder, trained)
    # read, not mapped: in memory at once, in half the time
    moments = read_arrays(folder / OPTIMIZER_FILE)
    mean, square = ({name: moments[f"{kind}.{name}"] for name in trained} for kind in "mv")
    return TrainingState(record["step"], config, params, mean, square, run, tokenizer,
                         record["corpus_fingerprint"])


def set_aside_newer(run_folder: Path, step: int) -> bool:
    """Rename checkpoints of steps after `step`: a run that goes on from there writes its own.

    Returns whether there were any.
    """
    newer = [path for path in checkpoints(run_folder) if step_of(path) > step]
    for path in newer:
        path.rename(aside(path))
    return bool(newer)


def step_of(checkpoint: Path) -> int:
    """The step in the name of a checkpoint, also of one that was set aside; -1 if it has none."""
    found = re.fullmatch(r"(?:aside-(?:\d+-)?)?step-(\d+)", checkpoint.absolute().name)
    return int(found[1]) if found else -1


def read_model(path: Path) -> tuple[GPT2Config, Params, Tokenizer]:
    """Config, parameters and tokenizer of a run folder's newest checkpoint, or of a checkpoint.

    Raises CheckpointError as `load_checkpoint`; the optimizer's file is not read.
    """
    folder = newest_checkpoint(path)
    with _naming_the_one_before(folder):
        return _load_model(folder, _checked_record(folder, unread=(OPTIMIZER_FILE,)))


def labels_of(path: Path) -> tuple[str, ...]:
    """The labels that the run of a classifier scores, in the order of its head; else ()."""
    folder = newest_checkpoint(path)
    return split_labels(build_run(folder, read_record(folder)).data.labels)


def sound_weights(path: Path) -> tuple[Path, Tokenizer]:
    """A run folder's newest checkpoint, or a checkpoint, once checked: its weights and tokenizer.

    Raises CheckpointError as `load_checkpoint`.
    """
    folder = newest_checkpoint(path)
    return weights_of(folder), read_model(folder)[2]


def weights_of(folder: Path) -> Path:
    """A checkpoint's file of weights, or of the updates that it holds instead."""
    return folder / (ADAPTER if (folder / ADAPTER).is_file() else WEIGHTS)


def _checked_record(folder: Path, unread: Container[str] = ()) -> RunRecord:
    """The content of run.json, once all files match their checksums."""
    problems = damage(folder, unread)
    if problems:
        raise bad_file(folder, *(f"{name} {what}" for name, what in problems.items()))
    return read_record(folder)


def damage(folder: Path, unread: Container[str] = ()) -> dict[str, str]:
    """What the checksums say is wrong with a checkpoint's files, by name; {} if it has none.

    Of a file in `unread` the size alone is compared.
    """
    if (folder / CHECKSUMS).is_file():
        return damaged_files(folder, unread)
    return {CHECKSUMS: "is missing"} if "checksums" in read_record(folder) else {}


def build_run(folder: Path, record: RunRecord) -> RunConfig:
    """The settings in run.json; raises CheckpointError if they are not settings of this version."""
    try:
        return build(record["run"])
    except ValueError as error:
        raise bad_file(folder / RUN_FILE, f"settings do not fit: {error}") from None


def _load_model(folder: Path, record: RunRecord) -> tuple[GPT2Config, Params, Tokenizer]:
    config, params = read_weights(folder, record)
    tokenizer = build_tokenizer(folder, record, config)
    check_copies(folder, record, config)
    check_finite(weights_of(folder), params)
    return config, params, tokenizer


def read_weights(folder: Path, record: RunRecord | None) -> tuple[GPT2Config, Params]:
    """Config and parameters of a checkpoint; its record says how its updates are used."""
    file = weights_of(folder)
    if file.name == ADAPTER and record is not None:
        return load_adapted(folder, build_run(folder, record), record.get("base"))
    return read(file_at(file))


def trained_of(run: RunConfig, config: GPT2Config, params: Params) -> Params:
    """Those of `params` that a run trains, and has moments for."""
    frozen = frozen_names(run, config)
    return {name: array for name, array in params.items() if name not in frozen}


def check_finite(file: Path, params: Params) -> None:
    """Raise CheckpointError, naming them, if parameters from `file` have NaN or infinity."""
    bad = [name for name, array in params.items() if not np.isfinite(array).all()]
    if bad:
        raise bad_file(file, f"{named(bad)} hold NaN or infinite numbers")


def build_tokenizer(folder: Path, record: RunRecord, config: GPT2Config) -> Tokenizer:
    """The tokenizer in run.json; raises CheckpointError if it is not that of the model."""
    try:
        tokenizer = tokenizer_from_dict(record["tokenizer"])
    except ValueError as error:
        raise CheckpointError(f"{folder / RUN_FILE}: {error}") from None
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(
            f"{folder / RUN_FILE}: its tokenizer has {tokenizer.vocab_size} tokens, the model's "
            f"vocab_size is {config.vocab_size}"
        )
    return tokenizer


def check_copies(folder: Path, record: RunRecord, config: GPT2Config) -> None:
    """Raise CheckpointError unless whatever a checkpoint holds twice is the same both times.

    `config` is that of config.json. A checkpoint that was renamed has its step but once.
    """
    problems = []
    if step_of(folder) not in (-1, record["step"]):
        problems.append(f"step is {record['step']} in {RUN_FILE}, {step_of(folder)} in the name of "
                        f"the folder")
    settings: object = record["run"].get("model")
    copies: dict[str, Mapping[str, object]] = {
        CONFIG: config.to_dict(), RUN_FILE: settings if isinstance(settings, dict) else {},
    }
    if (folder / WEIGHTS).exists():
        copies[f"the header of {WEIGHTS}"] = written_config(folder / WEIGHTS)
    for name in config.to_dict():
        found = {place: values[name] for place, values in copies.items() if name in values}
        if any(value != found[CONFIG] for value in found.values()):
            problems.append(f"{name} is " + ", ".join(
                f"{shown(value)} in {place}" for place, value in found.items()))
    if problems:
        raise bad_file(folder, *problems)


@contextmanager
def _naming_the_one_before(folder: Path) -> Iterator[None]:
    """A checkpoint that cannot be read is no dead end: say which sound one stands before it."""
    try:
        yield
    except CheckpointError as error:
        for older in reversed(checkpoints(folder.parent.parent)):
            if step_of(older) < step_of(folder) and _is_sound(older):
                raise CheckpointError(f"{error}; the sound one before it is {older}") from None
        raise


def _is_sound(folder: Path) -> bool:
    """Whether a checkpoint can be loaded, with all that is checked then."""
    try:
        _load(folder)
    except (CheckpointError, OSError):
        return False
    return True


def read_record(folder: Path) -> RunRecord:
    """The content of a checkpoint's run.json; raises CheckpointError, saying what is wrong."""
    path = folder / RUN_FILE
    try:
        found = check_type(read_json(path, CheckpointError), RunRecord, path, CheckpointError)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    if found["step"] < 0:
        raise CheckpointError(f"{path}: step: expected at least 0, got {found['step']}")
    return found


def stored_moments(folder: Path, params: Params) -> dict[str, Stored]:
    """AdamW's moments in the optimizer's file, as m.NAME and v.NAME.

    Raises CheckpointError, naming every one that is missing or not like its parameter.
    """
    path = folder / OPTIMIZER_FILE
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    moments, problems = read_safetensors(path), []
    for name, array in ((f"{kind}.{n}", array) for kind in "mv" for n, array in params.items()):
        found, dtype = moments.get(name), f"F{8 * array.itemsize}"
        if found is None:
            problems.append(f"{name} is missing")
        elif found.shape != array.shape or found.dtype != dtype:
            problems.append(f"{name} is {found.dtype} {found.shape}, the parameter {dtype} "
                            f"{array.shape}")
    if problems:
        raise bad_file(path, *problems)
    return moments
