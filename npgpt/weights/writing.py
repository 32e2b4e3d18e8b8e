"""The way out: write a model in one of the forms, completely or not at all."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Mapping, Sequence

import numpy as np

from ..checked import checked
from ..config import GPT2Config
from ..documents import read_json
from ..files import check_room, creating_folder, place_of, replacing_file
from ..params import Params
from ..suggest import unknown
from ..tape import Array
from ..text import BPETokenizer, Tokenizer
from ..text.pretrained import tokenizer_files
from ..variants import merged
from . import peft
from .assemble import check_savable
from .book import book_config, book_tensors
from .checksums import CHECKSUMS
from .configs import CONFIG, ENDS, METADATA, PAD, lacking, read_labels, write_config
from .errors import CheckpointError
from .huggingface import WEIGHTS, huggingface_names
from .llmc import bin_file, save_llmc
from .reading import base_at, file_at, is_published, load, tokenizer_beside
from .safetensors_file import write_safetensors


@checked
def save(
    path: Path | str, config: GPT2Config, params: Params, tokenizer: Tokenizer | None = None,
    others: Mapping[str, object] | None = None, labels: Sequence[str] = (),
) -> None:
    """Write a Hugging Face folder: model.safetensors and config.json, and the tokenizer's files.

    `others` are keys of config.json beside the config's; bos_token_id, eos_token_id and
    pad_token_id are by default the tokenizer's. `labels` are the names of a classifier's.

    A path that ends in .safetensors is that file, with config.json beside it. A kill, a full disk
    or a read-only folder leaves what was there before intact. Raises ValueError if the parameters
    do not match the config or the path is not that of a file, OSError if there is no room or no
    permission.
    """
    check_savable(config, params)
    keys = {**_ids_of(tokenizer), **(others or {})}
    files = {}
    if tokenizer is not None:
        ends = {name: keys[name] for name in (*ENDS, PAD) if name in keys}
        files = {**tokenizer_files(tokenizer), GENERATION: json.dumps(ends, indent=2) + "\n"}
    _write_pair(Path(path), config, huggingface_names(params),
                lambda file: write_config(file, config, keys, labels), files)


@checked
def save_book(path: Path | str, config: GPT2Config, params: Params) -> None:
    """Write the book's names and layout, and a config.json with the book's keys.

    Otherwise as `save`; raises ValueError also if the book has no such model.
    """
    check_savable(config, params)
    text = json.dumps(book_config(config), indent=2) + "\n"
    _write_pair(Path(path), config, book_tensors(params),
                lambda file: file.write_text(text, encoding="utf-8"))


@checked
def save_peft(
    path: Path | str, config: GPT2Config, params: Params, base: Path | str,
    tokenizer: Tokenizer | None = None,
) -> None:
    """Write the low-rank updates of a model alone, as PEFT does, and the tokenizer's files.

    They are adapter_model.safetensors and adapter_config.json in the folder `path`, which say that
    the model at `base`, a folder or a name, is the one that they are added to. Otherwise as `save`.
    """
    folder = Path(path)
    if not config.lora_rank:
        raise ValueError("the model has no low-rank updates; an adapter holds nothing else")
    if folder.suffix == ".safetensors":
        raise ValueError(f"{folder}: an adapter is a folder of two files; name a folder")
    check_savable(config, params)
    _write_files(folder, {
        peft.ADAPTER_CONFIG: peft.adapter_config(config, params, peft.lasting(str(base))),
        peft.ADAPTER: lambda file: peft.write_updates(file, params),
        **({} if tokenizer is None else tokenizer_files(tokenizer)),
    }, sum(array.nbytes for name, array in params.items() if peft.is_update(name)))


def _ids_of(tokenizer: Tokenizer | None) -> dict[str, int]:
    """The ids of a tokenizer that config.json names."""
    if tokenizer is None:
        return {}
    ids = {} if tokenizer.eot_id is None else dict.fromkeys(ENDS, tokenizer.eot_id)
    if isinstance(tokenizer, BPETokenizer) and tokenizer.roles:
        by_text = {token.text: token.id for token in tokenizer.vocabulary.added}
        ids |= {f"{name}_id": by_text[text] for name, text in tokenizer.roles.items()
                if f"{name}_id" in (*ENDS, PAD) and text in by_text}
    return ids


WRITERS: dict[str, Callable[[Path, GPT2Config, Params], None]] = {
    "hf": save, "npgpt": save, "llmc": save_llmc, "book": save_book,
}
FORMS = (*WRITERS, "peft")
GENERATION = "generation_config.json"


@checked
def convert(
    src: Path | str, dst: Path | str, to: str = "hf", dtype: type | str | np.dtype | None = None,
    merge: bool = False, tokenizer: Tokenizer | None = None, labels: Sequence[str] = (),
    report: Callable[[str], None] | None = None, base: Path | str | None = None,
) -> GPT2Config:
    """Read `src` in any form and write `dst` as `to`, one of FORMS; returns the config.

    hf and npgpt are the same folder, with the `tokenizer`, by default the one that lies with `src`,
    and the `labels` of a classifier, by default those in its config.json; but hf is
    rejected for a model that transformers does not have. peft is the low-rank updates of `src`
    alone, for PEFT, with the place of their base model: `base`, or what an adapter says itself.

    llmc is written a piece at a time. For hf and book the safetensors library wants the entire
    model at once: what can be mapped from `src` stays there, the rest is in memory, and for book a
    second, transposed copy of the linear weights too. gpt2's published file, whose 498 MB cannot be
    mapped, took at most 529 MB on its way to hf and 853 MB to book.
    `merge` folds low-rank updates into the weights. `report` is called with a note if no tokenizer
    lies with `src`.
    Raises ValueError if `dst` would replace what `src` is read from, or cannot be a file.
    """
    if to not in FORMS:
        raise unknown("form", to, FORMS)
    if merge and to == "peft":
        raise ValueError("an adapter is not merged; leave merge out, or write hf")
    _check_apart(src, Path(dst), to)
    # of whole weights with updates beside them it is named here for the first time
    with peft.based_on(base, None if to == "peft" else file_at(src)):
        return _convert(src, dst, to, dtype, merge, tokenizer, labels, report)


def _convert(
    src: Path | str, dst: Path | str, to: str, dtype: type | str | np.dtype | None, merge: bool,
    tokenizer: Tokenizer | None, labels: Sequence[str], report: Callable[[str], None] | None,
) -> GPT2Config:
    config, params = load(src, dtype)
    if merge:
        if not config.lora_rank:
            raise ValueError(f"{src} has no low-rank updates to merge")
        config, params = merged(params, config)
    elif config.lora_rank and to == "hf":
        raise ValueError(f"{src} has low-rank updates, which transformers does not have; --merge "
                         "folds them into the weights, --to peft writes them as PEFT's adapter")
    if to == "hf" and (wrong := lacking(config)):
        raise ValueError(f"transformers has no such model: {', '.join(wrong)}; --to npgpt writes "
                         "the same folder for npgpt alone")
    if to == "peft":
        if not config.lora_rank:
            raise ValueError(f"{src} has no low-rank updates, and an adapter holds nothing else")
        named = base_at(src) or peft.moved_to()
        if not named:
            raise ValueError(f"{src} does not say which model its low-rank updates belong to; name "
                             "it with --base, in Python base=")
        save_peft(dst, config, params, named,
                  tokenizer or _tokenizer_of(src, config, report or (lambda note: None)))
    elif to in ("hf", "npgpt"):
        used = tokenizer or _tokenizer_of(src, config, report or (lambda note: None))
        save(dst, config, params, used, _kept(src),
             labels or read_labels(file_at(src).with_name(CONFIG), config))
    else:
        WRITERS[to](Path(dst), config, params)
    return config


def _tokenizer_of(
    src: Path | str, config: GPT2Config, report: Callable[[str], None]
) -> Tokenizer | None:
    """The tokenizer that lies with a source; GPT-2's if that may be meant; None for another."""
    try:
        found = tokenizer_beside(file_at(src), config)
    except ValueError as error:
        report(f"no tokenizer is written: {error}")
        return None
    if found is None and config.vocab_size >= BPETokenizer().vocab_size:
        if not is_published(file_at(src)):
            report(f"{src} brings no tokenizer: GPT-2's own is written")
        return BPETokenizer(vocab_size=config.vocab_size)
    if found is None:
        report(f"{src} brings no tokenizer: none is written")
    return found


def _kept(src: Path | str) -> dict[str, object]:
    """What the config.json beside a source says that GPT2Config does not hold."""
    file = file_at(src).with_name(CONFIG)
    values = read_json(file, CheckpointError) if file.is_file() else {}
    kept: dict[str, object] = {
        name: values[name] for name in (*ENDS, PAD) if isinstance(values.get(name), int)}
    # the same numbers in float32, and others in transformers' float16
    if values.get("reorder_and_upcast_attn") is True:
        kept["reorder_and_upcast_attn"] = True
    return kept


def _check_apart(src: Path | str, dst: Path, to: str) -> None:
    """Raise ValueError if writing `dst` would replace a file of `src`, or is impossible."""
    first = file_at(src)
    read = {Path(src), first}
    if ".safetensors" in first.name and first.with_name(CONFIG).exists():
        read.add(first.with_name(CONFIG))
    written = {bin_file(dst)} if to == "llmc" else {dst / peft.ADAPTER} if to == "peft" else {
        dst, *_pair(dst)}
    clash = {place.resolve() for place in read} & {place.resolve() for place in written}
    if clash:
        raise ValueError(f"{dst}: {min(clash)} is what {src} is read from; name another place")


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


def _write_pair(
    path: Path, config: GPT2Config, tensors: Mapping[str, Array],
    describe: Callable[[Path], object], others: Mapping[str, str] = {},
) -> None:
    """Weights, config.json and `others`, as `_write_files`."""
    weights_file, config_file = _pair(path)
    # transformers asks for "pt"; with our own entry a file can be moved without its config.json
    metadata = {"format": "pt", METADATA: json.dumps(config.to_dict())}
    _write_files(weights_file.parent, {
        config_file.name: describe,
        weights_file.name: lambda file: write_safetensors(file, tensors, metadata),
        **others,
    }, sum(array.nbytes for array in tensors.values()))


def _write_files(
    folder: Path, files: Mapping[str, str | Callable[[Path], object]], n_bytes: int
) -> None:
    """Texts, and what writes a file, by name: in a new folder, or over an existing one's.

    `n_bytes` is about how large they are together.
    """
    check_room(folder, n_bytes)
    with ExitStack() as stack:
        if folder.exists():
            # all are on disk before any of them replaces an old one
            places = {name: stack.enter_context(replacing_file(folder / name)) for name in files}
        else:
            beside = stack.enter_context(creating_folder(folder))
            places = {name: beside / name for name in files}
        for name, content in files.items():
            if isinstance(content, str):
                places[name].write_text(content, encoding="utf-8")
            else:
                content(places[name])
        if any((folder / name).exists() for name in files):
            # a table of checksums is that of the files before
            (folder / CHECKSUMS).unlink(missing_ok=True)
