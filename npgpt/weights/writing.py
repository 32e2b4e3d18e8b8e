"""The way out: write a model in one of the forms, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Mapping

import numpy as np

from ..config import GPT2Config
from ..files import creating_folder, place_of, replacing_file
from ..params import Params, check_params
from ..tape import Array
from .book import book_config, book_names
from .configs import CONFIG, METADATA
from .huggingface import WEIGHTS, huggingface_names
from .llmc import llmc_size, write_llmc, write_llmc_state
from .reading import file_at, load
from .safetensors_file import write_safetensors, written_size


def save(path: Path | str, config: GPT2Config, params: Params) -> None:
    """Write a Hugging Face folder: model.safetensors and config.json.

    A path that ends in .safetensors is that file, with config.json beside it. A kill, a full disk
    or a folder that cannot be written leaves what was there before whole. Raises ValueError if the
    parameters do not fit the config or something else is in the place of a file, OSError if there
    is no room or no permission.
    """
    _check(config, params)
    _write_pair(Path(path), config, huggingface_names(params), config.save)


def save_book(path: Path | str, config: GPT2Config, params: Params) -> None:
    """Write the book's names and layout, and a config.json with the book's keys; else as `save`.

    Raises ValueError too where the book has no such model.
    """
    _check(config, params)
    text = json.dumps(book_config(config), indent=2) + "\n"
    names = book_names(config, params)
    _write_pair(Path(path), config, names, lambda file: _write_text(file, text))


def save_llmc(path: Path | str, config: GPT2Config, params: Params) -> None:
    """Write llm.c's model file in float32; raises ValueError where llm.c has no such model."""
    _check(config, params)
    path = _bin_file(path)
    check_room(path.parent, llmc_size(config))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as beside, beside.open("wb") as file:
        write_llmc(file, config, params)


def save_llmc_state(
    path: Path | str,
    config: GPT2Config,
    ids: Array,
    targets: Array,
    logits: Array,
    loss: float,
    grads: Mapping[str, Array],
) -> None:
    """Write llm.c's debug state: what its tests compare their own logits and gradients with.

    ids and targets (B, T), logits (B, T, V), the mean loss, gradients by parameter name.
    """
    path = _bin_file(path)
    check_room(path.parent, llmc_size(config) + 4 * logits.size + 8 * ids.size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as beside, beside.open("wb") as file:
        write_llmc_state(file, config, ids, targets, logits, loss, grads)


WRITERS: dict[str, Callable[[Path, GPT2Config, Params], None]] = {
    "hf": save, "llmc": save_llmc, "book": save_book,
}


def convert(
    src: Path | str, dst: Path | str, to: str = "hf", dtype: type | str | np.dtype | None = None
) -> GPT2Config:
    """Read `src` in whatever form and write `dst` as `to`: hf, llmc or book; gives the config.

    llmc is written a piece at a time. For hf and book the safetensors library wants the whole model
    at once: what can be mapped from `src` stays there, the rest is held in memory, for book a
    second copy of the linear weights too, which are turned round. gpt2's published file, whose
    498 MB cannot be mapped, took 529 MB at the most on its way to hf and 853 MB to book.
    Raises ValueError where `dst` would replace what `src` is read from, or is no place for a file.
    """
    if to not in WRITERS:
        raise ValueError(f"{to!r} is no form to write; there are {', '.join(WRITERS)}")
    _check_apart(src, Path(dst), to)
    config, params = load(src, dtype)
    WRITERS[to](Path(dst), config, params)
    return config


def _check_apart(src: Path | str, dst: Path, to: str) -> None:
    """Raise ValueError where writing `dst` would replace a file of `src`, or cannot be done."""
    first = file_at(src)
    read = {Path(src), first}
    if ".safetensors" in first.name and first.with_name(CONFIG).exists():
        read.add(first.with_name(CONFIG))
    written = {_bin_file(dst)} if to == "llmc" else {dst, *_pair(dst)}
    clash = {place.resolve() for place in read} & {place.resolve() for place in written}
    if clash:
        raise ValueError(f"{dst}: {min(clash)} is what {src} is read from; name another place")


def _bin_file(path: Path | str) -> Path:
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a .bin file")
    place_of(path)
    return path


def _pair(path: Path) -> tuple[Path, Path]:
    """The weights and the config.json that `path` stands for; ValueError if it cannot be both."""
    if path.suffix == ".safetensors":
        pair = path, path.with_name(CONFIG)
    elif path.exists() and not path.is_dir():
        raise ValueError(f"{path} is no folder; name a folder or a .safetensors file")
    else:
        pair = path / WEIGHTS, path / CONFIG
    for file in pair:
        place_of(file)
    return pair


def check_room(folder: Path, needed: int) -> None:
    """Raise OSError if the disk under `folder` has no room for `needed` more bytes."""
    there = next((p for p in (folder, *folder.absolute().parents) if p.exists()), Path("."))
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OSError(
            errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {needed / 2**20:.1f} MiB are needed, "
            f"{free / 2**20:.1f} MiB are free", str(folder)
        )


def _check(config: GPT2Config, params: Params) -> None:
    problems = check_params(config, params)
    problems += [
        f"{name} has dtype {array.dtype}, float32 or float64 can be written"
        for name, array in params.items() if array.dtype not in (np.float32, np.float64)
    ]
    if problems:
        raise ValueError("parameters do not fit the config: " + "; ".join(problems))


def _write_pair(
    path: Path,
    config: GPT2Config,
    tensors: Mapping[str, Array],
    write_config: Callable[[Path], Any],
) -> None:
    """Weights and config.json: in a new folder, or over the ones in a folder that is there."""
    weights_file, config_file = _pair(path)
    folder = weights_file.parent
    # "pt" is what transformers asks for; our own note lets a file be moved without its config.json
    metadata = {"format": "pt", METADATA: json.dumps(config.to_dict())}
    check_room(folder, written_size(tensors, metadata))

    def write(weights: Path, settings: Path) -> None:
        write_safetensors(weights, tensors, metadata)
        write_config(settings)

    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with creating_folder(folder) as beside:
            write(beside / weights_file.name, beside / CONFIG)
        return
    # both are on disk before either takes its place
    with ExitStack() as stack:
        settings = stack.enter_context(replacing_file(config_file))
        weights = stack.enter_context(replacing_file(weights_file))
        write(weights, settings)


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
