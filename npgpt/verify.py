"""verify: what is damaged in a run, a checkpoint, weights or a token file; nothing is changed.

What has checksums is compared with them, what is written twice with its copies; of all else, the
structure is checked, and that no number is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, TypeVar

import numpy as np

from .checked import checked
from .config import SIZES
from .documents import open_regular, read_json
from .params import Params
from .text.cache import MAGIC, SUFFIX, DamagedTokens, EarlierTokens, read_tokens
from .training import checkpoint as saved
from .training.checkpoint import is_checkpoint, is_run, step_of
from .training.log import FILE as LOG_FILE
from .training.log import read_lines
from .training.loop import CONFIG_FILE, RESULT_FILE
from .training.settings import CHANGEABLE, RunConfig, differences, read_whole_toml
from .weights import CheckpointError
from .weights.checksums import CHECKSUMS, damaged_files, sha256
from .weights.configs import CONFIG
from .weights.hub import SHA256
from .weights.huggingface import WEIGHTS
from .weights.llmc import MODEL_MAGIC, STATE_MAGIC
from .weights.peft import ADAPTER, ADAPTER_CONFIG
from .weights.reading import file_at, read
from .weights.stored import FLOATS

T = TypeVar("T")

# the files of a checkpoint, and what is checked of each beside its checksum
CHECKPOINT_FILES = {
    saved.RUN_FILE: "step, settings", CONFIG: "settings", WEIGHTS: "all finite",
    ADAPTER: "all finite", ADAPTER_CONFIG: "settings",
    saved.OPTIMIZER_FILE: "no NaN", CHECKSUMS: "its own crc32",
}


COPIES = "copies"


@dataclass(frozen=True)
class Checked:
    """One file: what was checked, or, if it is damaged, what is wrong."""

    name: str
    what: str
    damaged: bool = False


@dataclass(frozen=True)
class Report:
    """What was examined: run, checkpoint, weights or tokens; and its files."""

    kind: str
    files: list[Checked]
    sound: Path | None = None
    """Of a run with damage, the newest sound checkpoint."""

    @property
    def damaged(self) -> int:
        """How many files are damaged."""
        return sum(file.damaged for file in self.files)


@checked
def verify(given: Path | str) -> Report:
    """Examine what lies at a path, or a published size by its name.

    A file of a checkpoint stands for the checkpoint, whose other files say what it should be.
    Raises CheckpointError for what is none of the things that npgpt writes or reads, and OSError
    for a file that cannot be read.
    """
    path = Path(given)
    if path.is_file() and is_checkpoint(path.parent):
        path = path.parent
    if path.name == saved.FOLDER and path.is_dir() and is_run(path.absolute().parent):
        path = path.absolute().parent
    if is_checkpoint(path):
        return Report("checkpoint", _checkpoint(path)[0])
    if is_run(path) or (path / CONFIG_FILE).is_file():
        return _run(path)
    tokens = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if path.is_dir() and tokens or path.is_file() and _is_tokens(path):
        return Report("tokens", [_tokens(file) for file in tokens])
    try:
        return Report("weights", _weights(given))
    except CheckpointError as error:
        if path.is_file() or path.is_dir():
            also = "it is no run, checkpoint or token file either"
            raise CheckpointError(f"{error}; {also}") from None
        raise


def _run(folder: Path) -> Report:
    files, sound, settings = [], None, None
    for place in sorted((folder / saved.FOLDER).glob("*step-*"), key=step_of):
        if step_of(place) < 0 or not place.is_dir():
            continue
        try:
            found, run = _checkpoint(place)
        except OSError:
            if place.exists():
                raise
            continue
        # one that training has deleted meanwhile is not damaged
        if place.exists():
            files += [Checked(f"{place.name}/{f.name}", f.what, f.damaged) for f in found]
            if place in saved.checkpoints(folder) and not any(f.damaged for f in found):
                sound, settings = place, run
    newest = max(map(step_of, saved.checkpoints(folder)), default=-1)
    before = [_config(folder / CONFIG_FILE, settings), _log(folder / LOG_FILE, newest)]
    if (folder / RESULT_FILE).is_file():
        before.append(_result(folder / RESULT_FILE, newest))
    return Report("run", before + files, sound)


def _config(path: Path, used: RunConfig | None) -> Checked:
    if not path.is_file():
        return Checked(path.name, "is missing", True)
    try:
        tables = read_whole_toml(path)
    except ValueError as error:
        return Checked(path.name, str(error).removeprefix(str(path)).lstrip(": "), True)
    if used is None:
        return Checked(path.name, "settings")
    edits = [f"{key} = {mine!r} (the checkpoint: {other!r})"
             for _, key, mine, other in differences(tables, used.to_dict())
             if key not in (*CHANGEABLE, "decay_steps")]
    return Checked(path.name, "; ".join(edits) or "settings, as in the checkpoint", bool(edits))


def _log(path: Path, newest: int) -> Checked:
    if not path.is_file():
        return Checked(path.name, "is missing", newest >= 0)
    lines = read_lines(path)
    steps = [line.record["step"] for line in lines if line.record is not None]
    if damaged := len(lines) - len(steps):
        first = 1 + [line.record is None for line in lines].index(True)
        return Checked(path.name, f"damaged lines: {damaged}, the first is line {first}; "
                                  "--resume keeps all others", True)
    if max(steps, default=-1) < newest:
        end = f"ends at step {max(steps)}" if steps else "holds no record"
        return Checked(path.name, f"{end}, the newest checkpoint is of step {newest}", True)
    span = f", steps {min(steps)} to {max(steps)}" if steps else ""
    # no damage: damaged lines are left out on resuming
    lacking = 1 + max(steps) - min(steps) - len(set(steps)) if steps else 0
    without = f", {lacking:,} of them missing" if lacking else ""
    return Checked(path.name, f"{len(steps):,} records{span}{without}")


def _result(path: Path, newest: int) -> Checked:
    try:
        step = read_json(path).get("step")
    except ValueError as error:
        return Checked(path.name, str(error).removeprefix(str(path)).lstrip(": "), True)
    return Checked(path.name, f"of step {step}", step != newest)


def _checkpoint(folder: Path) -> tuple[list[Checked], RunConfig | None]:
    """Every file of a checkpoint, and the settings in it.

    Under the name "copies" stands in what its copies contradict each other.
    """
    found: dict[str, str] = {}

    def attempt(check: Callable[[], T]) -> T | None:
        try:
            return check()
        except CheckpointError as error:
            text = str(error)
            name = next((n for n in CHECKPOINT_FILES if text.startswith(str(folder / n))), COPIES)
            for place in (folder / name, folder):
                text = text.removeprefix(str(place))
            found.setdefault(name, text.lstrip(": "))
            return None

    found.update(attempt(lambda: saved.damage(folder)) or {})
    record = attempt(lambda: saved.read_record(folder))
    model = attempt(lambda: saved.read_weights(folder, record))
    params = model[1] if model else {}
    run = attempt(lambda: saved.build_run(folder, record)) if record else None
    if record and model:
        attempt(lambda: saved.build_tokenizer(folder, record, model[0]))
        attempt(lambda: saved.check_copies(folder, record, model[0]))
    attempt(lambda: saved.check_finite(saved.weights_of(folder), params))
    attempt(lambda: _check_moments(folder, saved.trained_of(run, model[0], params)
                                   if run and model else params))
    by_checksum = "size, crc32, " if (folder / CHECKSUMS).is_file() else ""
    names = [n for n in CHECKPOINT_FILES if (folder / n).is_file()]
    return [Checked(name, found[name], True) for name in found if name not in names] + [
        Checked(name, found.get(name, ("" if name == CHECKSUMS else by_checksum) + what),
                name in found)
        for name, what in CHECKPOINT_FILES.items() if name in names], run


def _check_moments(folder: Path, params: Params) -> None:
    moments = saved.stored_moments(folder, params)
    bad = [name for name, stored in moments.items() if stored.dtype in FLOATS
           and np.isnan(stored.read(np.dtype(FLOATS[stored.dtype]))).any()]
    if bad:
        raise CheckpointError(f"{folder / saved.OPTIMIZER_FILE}: {', '.join(bad)} hold NaN")


def _weights(given: Path | str) -> list[Checked]:
    """Weights in any form, by their path or name."""
    file = file_at(given, download=False)
    found: dict[str, Checked] = {}
    if (file.parent / CHECKSUMS).is_file():
        for name, what in damaged_files(file.parent).items():
            found[name] = Checked(name, what, True)
    known = SHA256.get(str(given)) if str(given) in SIZES and not Path(given).exists() else None
    if known and sha256(file) != known:
        found[file.name] = Checked(file.name, f"is not {given} as published: another sha256", True)
    if file.name in found:
        return list(found.values())
    try:
        _, params = read(file)
        saved.check_finite(file, params)
    except CheckpointError as error:
        if not _is_weights(file):
            raise
        found[file.name] = Checked(file.name, str(error).removeprefix(f"{file}: "), True)
    else:
        size = {digest: size for size, digest in SHA256.items()}.get(sha256(file))
        how = f", sha256 of {size} as published" if size else ""
        found[file.name] = Checked(file.name, f"{len(params)} tensors, all finite{how}")
    return list(found.values())


def _is_weights(file: Path) -> bool:
    """Whether a file that cannot be loaded is damaged, rather than of another kind."""
    with open_regular(file, CheckpointError) as opened:
        start = int.from_bytes(opened.read(4), "little")
    return start in (MODEL_MAGIC, STATE_MAGIC) or file.name.endswith(
        (".safetensors", ".safetensors.index.json", ".index"))


def _is_tokens(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC or file.suffix == SUFFIX


def _tokens(file: Path) -> Checked:
    try:
        header, _ = read_tokens(file)
    except EarlierTokens:
        return Checked(file.name, "of an earlier version; npgpt train builds it anew")
    except DamagedTokens as error:
        return Checked(file.name, f"{error}; npgpt train builds it anew", True)
    return Checked(file.name, f"{header.count:,} tokens, crc32")
