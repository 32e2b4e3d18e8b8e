"""The way out: write a model in one of the forms, completely or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Callable, Iterator, Mapping

import numpy as np

from ..config import GPT2Config
from ..files import creating_folder, place_of, replacing_file
from ..params import Params, check_params
from ..tape import Array
from .book import book_config, book_names
from .configs import CONFIG, METADATA, write_config
from .huggingface import WEIGHTS, huggingface_names
from .llmc import llmc_size, write_llmc, write_llmc_state
from .reading import file_at, load
from .safetensors_file import write_safetensors, written_size


def save(path: Path | str, config: GPT2Config, params: Params) -> None:
    """Write a Hugging Face folder: model.safetensors and config.json.

    A path that ends in .safetensors is that file, with config.json beside it. A kill, a full disk
    or a read-only folder leaves what was there before intact. Raises ValueError if the parameters
    do not match the config or the path is not that of a file, OSError if there is no room or no
    permission.
    """
    _check(config, params)
    _write_pair(Path(path), config, huggingface_names(params),
                lambda file: write_config(file, config))


def save_book(path: Path | str, config: GPT2Config, params: Params) -> None:
    """Write the book's names and layout, and a config.json with the book's keys.

    Otherwise as `save`; raises ValueError also if the book has no such model.
    """
    _check(config, params)
    text = json.dumps(book_config(config), indent=2) + "\n"
    names = book_names(config, params)
    _write_pair(Path(path), config, names, lambda file: _write_text(file, text))


def save_llmc(path: Path | str, config: GPT2Config, params: Params) -> None:
    """Write llm.c's model file in float32; raises ValueError if llm.c has no such model."""
    _check(config, params)
    with _writing_bin(path, llmc_size(config)) as file:
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
    """Write llm.c's debug state, with which its tests compare their own logits and gradients.

    ids and targets (B, T), logits (B, T, V), the mean loss, gradients by parameter name.
    """
    with _writing_bin(path, llmc_size(config) + 4 * logits.size + 8 * ids.size) as file:
        write_llmc_state(file, config, ids, targets, logits, loss, grads)


@contextmanager
def _writing_bin(path: Path | str, size: int) -> Iterator[BinaryIO]:
    """A file of `size` bytes to write, which replaces `path` once it is complete."""
    path = _bin_file(path)
    check_room(path.parent, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as beside, beside.open("wb") as file:
        yield file


WRITERS: dict[str, Callable[[Path, GPT2Config, Params], None]] = {
    "hf": save, "llmc": save_llmc, "book": save_book,
}


def convert(
    src: Path | str, dst: Path | str, to: str = "hf", dtype: type | str | np.dtype | None = None
) -> GPT2Config:
    """Read `src` in any form and write `dst` as `to`: hf, llmc or book; returns the config.

    llmc is written a piece at a time. For hf and book the safetensors library wants the entire
    model at once: what can be mapped from `src` stays there, the rest is in memory, and for book a
    second, transposed copy of the linear weights too. gpt2's published file, whose 498 MB cannot be
    mapped, took at most 529 MB on its way to hf and 853 MB to book.
    Raises ValueError if `dst` would replace what `src` is read from, or cannot be a file.
    """
    if to not in WRITERS:
        raise ValueError(f"unknown form {to!r}; expected one of {', '.join(WRITERS)}")
    _check_apart(src, Path(dst), to)
    config, params = load(src, dtype)
    WRITERS[to](Path(dst), config, params)
    return config


def _check_apart(src: Path | str, dst: Path, to: str) -> None:
    """Raise ValueError if writing `dst` would replace a file of `src`, or is impossible."""
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
    """The weights and the config.json that `path` stands for; ValueError if that is impossible."""
    if path.suffix == ".safetensors":
        pair = path, path.with_name(CONFIG)
    elif path.exists() and not path.is_dir():
        raise ValueError(f"{path} is not a folder; name a folder or a .safetensors file")
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
            errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {needed / 2**20:.1f} MiB needed, "
            f"{free / 2**20:.1f} MiB free", str(folder)
        )


def _check(config: GPT2Config, params: Params) -> None:
    problems = check_params(config, params)
    problems += [
        f"{name}: expected dtype float32 or float64, got {array.dtype}"
        for name, array in params.items() if array.dtype not in (np.float32, np.float64)
    ]
    if problems:
        raise ValueError("the parameters do not match the config: " + "; ".join(problems))


def _write_pair(
    path: Path,
    config: GPT2Config,
    tensors: Mapping[str, Array],
    describe: Callable[[Path], None],
) -> None:
    """Weights and config.json: in a new folder, or over those in an existing folder."""
    weights_file, config_file = _pair(path)
    folder = weights_file.parent
    # transformers asks for "pt"; with our own entry a file can be moved without its config.json
    metadata = {"format": "pt", METADATA: json.dumps(config.to_dict())}
    check_room(folder, written_size(tensors, metadata))

    def write(weights: Path, settings: Path) -> None:
        write_safetensors(weights, tensors, metadata)
        describe(settings)

    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with creating_folder(folder) as beside:
            write(beside / weights_file.name, beside / CONFIG)
        return
    # both are on disk before either replaces the old one
    with ExitStack() as stack:
        settings = stack.enter_context(replacing_file(config_file))
        weights = stack.enter_context(replacing_file(weights_file))
        write(weights, settings)


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
