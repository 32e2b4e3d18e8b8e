"""OpenAI's original checkpoint, as TensorFlow wrote it, read without TensorFlow.

    hparams.json                        n_vocab n_ctx n_embd n_head n_layer
    model.ckpt.index                    a sorted table: tensor name -> BundleEntryProto
    model.ckpt.data-00000-of-00001      the tensors' bytes

Every tensor's crc32c is verified. Linear weights are (1, in, out) there; the 1 is dropped.
Source: tensor_bundle.proto in TensorFlow's repository; the names are of openai/gpt-2's model.py.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

import numpy as np

from ..config import GPT2Config
from ..documents import read_json
from ..params import Params
from ..tape import Array
from .assemble import assemble
from .configs import checked_config
from .crc32c import masked_crc32c
from .errors import CheckpointError, Unsound, bad_file, shown
from .safetensors_file import MOST_AXES
from .sorted_table import read_table, varint
from .stored import FLOATS, MappedFile, Stored

HPARAMS = "hparams.json"
FIELDS = {
    "n_vocab": "vocab_size", "n_ctx": "n_positions", "n_embd": "n_embd", "n_head": "n_head",
    "n_layer": "n_layer",
}
DTYPES = {1: "F32", 2: "F64", 14: "BF16", 19: "F16"}
PARTS = {"g": "weight", "b": "bias", "w": "weight"}
# what an optimiser stored beside the parameters
SLOTS = ("Adam", "Adam_1", "Momentum", "ExponentialMovingAverage")


@dataclass(frozen=True)
class Entry:
    """Where and how one tensor is stored, from the index."""

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


def load_openai_tf(
    index: Path, dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters of the checkpoint with this index; CheckpointError if unsound."""
    table = read_table(index)
    try:
        header = dict(_messages(table.pop("", b"")))
        shards, endianness = _number(header, 1, 1), _number(header, 2)
        entries = {name: _entry(name, value) for name, value in table.items()}
    except (Unsound, IndexError) as error:
        raise bad_file(index, f"its entries cannot be read ({error})") from None
    if endianness != 0:
        raise bad_file(index, "is big-endian; expected little-endian")
    if "model/wte" not in entries:
        raise bad_file(index, "has no model/wte: not a checkpoint of GPT-2")
    config = _config(index.with_name(HPARAMS))
    return config, assemble(index, config, _tensors(index, entries, shards), dtype)


def _is_ours(name: str) -> bool:
    return name.startswith("model/") and name.rpartition("/")[2] not in SLOTS


def _config(path: Path) -> GPT2Config:
    if not path.exists():
        raise bad_file(path, "does not exist; it belongs beside OpenAI's checkpoint")
    values = read_json(path, CheckpointError)
    missing = [name for name in FIELDS if name not in values]
    if missing:
        raise bad_file(path, f"lacks {', '.join(missing)}")
    return checked_config(path, {ours: values[theirs] for theirs, ours in FIELDS.items()})


def _tensors(index: Path, entries: dict[str, Entry], shards: int) -> dict[str, Stored]:
    stem = str(index.name).removesuffix(".index")
    files: dict[int, MappedFile] = {}
    found: dict[str, Stored] = {}
    for name, entry in entries.items():
        if not 0 <= entry.shard < shards <= 99999:
            raise bad_file(index, f"{shown(name)} is in shard {entry.shard} of {shards}")
        if entry.shard not in files:
            path = index.with_name(f"{stem}.data-{entry.shard:05d}-of-{shards:05d}")
            if not path.exists():
                raise bad_file(path, "does not exist; the index names it")
            files[entry.shard] = MappedFile(path)
        file = files[entry.shard]
        if entry.offset + entry.size > file.size:
            raise bad_file(
                file.path, f"is truncated: {shown(name)} ends at byte {entry.offset + entry.size}, "
                f"the file has {file.size}"
            )
        if _is_ours(name):
            found[canonical(name)] = _checked(file, name, entry)
    return found


def canonical(name: str) -> str:
    """`model/h0/attn/c_attn/w` -> `h.0.attn.c_attn.weight`; an unknown name stays as it is."""
    parts = name.split("/")[1:]
    if parts in (["wte"], ["wpe"]):
        return f"{parts[0]}.weight"
    if len(parts) > 1 and parts[-1] in PARTS:
        block = re.fullmatch(r"h(\d{1,6})", parts[0])
        first = f"h.{block.group(1)}" if block else parts[0]
        return ".".join([first, *parts[1:-1], PARTS[parts[-1]]])
    return name


def _checked(file: MappedFile, name: str, entry: Entry) -> Stored:
    """The tensor, whose checksum is verified when it is read."""
    shape = entry.shape[1:] if len(entry.shape) == 3 and entry.shape[0] == 1 else entry.shape
    stored = file.tensor(entry.offset, shape, entry.dtype)

    def read(wanted: np.dtype) -> Array:
        raw = memoryview(file.bytes)[entry.offset:entry.offset + entry.size]
        if masked_crc32c(raw) != entry.crc:
            raise bad_file(file.path, f"is damaged: {shown(name)} fails its checksum")
        return stored.read(wanted)

    return Stored(shape, entry.dtype, read)


def _entry(name: str, value: bytes) -> Entry:
    fields = dict(_messages(value))
    kind, shard, offset, size, crc = (_number(fields, key) for key in (1, 3, 4, 5, 6))
    shape, dtype = _shape(fields.get(2, b"")), DTYPES.get(kind, "")
    if _is_ours(name):
        if not dtype:
            raise Unsound(f"{shown(name)}: expected a float, got TensorFlow's type {shown(kind)}")
        if 7 in fields:
            raise Unsound(f"{shown(name)} is stored in slices")
        if math.prod(shape) * np.dtype(FLOATS[dtype]).itemsize != size:
            raise Unsound(f"{shown(name)} has shape {shown(shape)} and {size} bytes")
    return Entry(dtype, shape, shard, offset, size, crc)


def _shape(value: int | bytes) -> tuple[int, ...]:
    sizes = []
    for number, content in _messages(value):
        if number == 2:
            size = _number(dict(_messages(content)), 1)
            if size >= 2**63:
                raise Unsound("a shape has a negative size")
            sizes.append(size)
    if len(sizes) > MOST_AXES:
        raise Unsound(f"a shape of {len(sizes)} axes")
    return tuple(sizes)


def _number(fields: Mapping[int, int | bytes], key: int, default: int = 0) -> int:
    value = fields.get(key, default)
    if not isinstance(value, int):
        raise Unsound("expected a number, got bytes")
    return value


def _messages(data: int | bytes) -> list[tuple[int, int | bytes]]:
    """The fields of a protocol buffer, in order: integers as int, everything else as bytes."""
    if not isinstance(data, bytes):
        raise Unsound("expected a message, got a number")
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        value: int | bytes
        if kind == 0:
            value, at = varint(data, at)
        elif kind in (1, 2, 5):
            length, at = (8, at) if kind == 1 else (4, at) if kind == 5 else varint(data, at)
            if at + length > len(data):
                raise Unsound("a field is truncated")
            content = data[at:at + length]
            value = content if kind == 2 else int.from_bytes(content, "little")
            at += length
        else:
            raise Unsound(f"a field of the unknown kind {kind}")
        found.append((key >> 3, value))
    return found
