"""The safetensors format: eight bytes of header length, a JSON header, then the tensors' bytes.

The safetensors library writes. Reading is our own: every entry of the header is checked, so that an
error can name the tensor and say what is wrong, and the tensors are then mapped in place, which the
library does not offer for NumPy.
Source: the format's page in the safetensors repository.
"""

from __future__ import annotations

import errno
import math
import os
import re
from pathlib import Path
from stat import S_IMODE
from typing import Mapping, NamedTuple, TypeGuard

import numpy as np

from ..documents import LARGEST, open_regular, parse_json
from ..tape import Array
from .errors import CheckpointError, Unsound, bad_file, shown
from .stored import MappedFile, Stored

# a shape has two sizes; much more is forged, and costly to multiply
MOST_AXES = 8
ITEM_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2,
    "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}


def read_safetensors(path: Path, mapped: bool = True) -> dict[str, Stored]:
    """Every tensor of the file by name; raises CheckpointError if the file is not sound.

    What a tensor's `read` gives is `mapped` where that can be; see MappedFile.
    """
    header, start, size = _header(path)
    header.pop("__metadata__", None)
    entries: dict[str, _Entry] = {}
    problems: list[str] = []
    for name, entry in header.items():
        try:
            entries[name] = _entry(entry)
        except Unsound as error:
            problems.append(f"{shown(name)}: {error}")
    if problems:
        raise bad_file(path, *problems)
    _check_spans(path, entries, size - start)
    if not entries:
        raise bad_file(path, "contains no tensor")
    file = MappedFile(path, mapped)
    return {
        name: file.tensor(start + entry.begin, entry.shape, entry.dtype)
        for name, entry in entries.items()
    }


def read_metadata(path: Path) -> dict[str, str]:
    """The strings in a file's header beside its tensors."""
    metadata = _header(path)[0].get("__metadata__") or {}
    if not isinstance(metadata, dict):
        raise bad_file(path, "its __metadata__ is not a JSON object")
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def _header(path: Path) -> tuple[dict[str, object], int, int]:
    """The header, where the tensors begin, and the file's size."""
    with open_regular(path, CheckpointError) as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8:
            raise bad_file(path, f"is truncated: expected 8 bytes and a header, got {size} bytes")
        if length > min(LARGEST, size - 8):
            raise bad_file(
                path, f"is not a safetensors file, or truncated: expected a header of {length} "
                f"bytes, got {size - 8}"
            )
        raw = file.read(length)
    return parse_json(raw, f"{path}: its header", CheckpointError), 8 + length, size


class _Entry(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def _entry(entry: object) -> _Entry:
    """A tensor's entry in the header, checked; raises Unsound."""
    if not isinstance(entry, dict):
        raise Unsound("expected an object with dtype, shape and data_offsets")
    dtype, shape, span = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        raise Unsound(f"unknown dtype {shown(dtype)}")
    if not _are_sizes(shape) or len(shape) > MOST_AXES:
        raise Unsound(f"invalid shape {shown(shape)}")
    if not _are_sizes(span) or len(span) != 2:
        raise Unsound(f"invalid data_offsets {shown(span)}")
    # Python's integers do not overflow, so a forged shape cannot wrap around to a small size
    needed = math.prod(shape) * ITEM_SIZES[dtype]
    if span[1] - span[0] != needed:
        raise Unsound(f"{dtype} {shown(shape)} needs {shown(needed)} bytes, got {shown(span)}")
    return _Entry(dtype, tuple(shape), *span)


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    # integers of more than 63 bits are no sizes, and slow to print
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _check_spans(path: Path, entries: Mapping[str, _Entry], size: int) -> None:
    """Raise CheckpointError unless the tensors fill `size` bytes without gap or overlap."""
    end, before = 0, "the header"
    for begin, stop, name in sorted((e.begin, e.end, name) for name, e in entries.items()):
        if begin != end:
            how = "overlaps" if begin < end else f"leaves {begin - end} bytes unused after"
            raise bad_file(path, f"{shown(name)} {how} {shown(before)}")
        end, before = stop, name
    if end > size:
        raise bad_file(path, f"is truncated: its tensors need {end} bytes, got {size}")
    if end < size:
        raise bad_file(path, f"has {size - end} bytes after its last tensor")


def write_safetensors(
    path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays, with `metadata` in the header; OSError if the disk is full or read-only.

    The library wants all tensors at once, each in C order: any other is copied.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # the library assumes C order; np.array, since ascontiguousarray makes () into (1,)
    dense = {name: array if array.flags.c_contiguous else np.array(array, order="C")
             for name, array in tensors.items()}
    # the library makes files that only their owner may read; an ordinary file has the usual mode
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(dense, path, dict(metadata) if metadata else None)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from None
    path.chmod(S_IMODE(mode))


def read_arrays(path: Path) -> dict[str, Array]:
    """Every tensor of the file as an array in memory; CheckpointError if the file is not sound."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        open_regular(path, CheckpointError).close()
        return dict(load_file(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except CheckpointError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise bad_file(path, f"is not a sound safetensors file ({shown(str(error))})") from None
