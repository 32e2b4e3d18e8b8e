"""The safetensors format: eight bytes of header length, a JSON header, then the tensors' bytes.

The safetensors library writes, and has the last word on what is a sound file. Before it is asked
every entry of the header is looked at here, so that a refusal can say which tensor is wrong and
how. The tensors are then mapped where they lie, which the library does not offer for NumPy.
Source: the format's page in the safetensors repository.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections import Counter
from pathlib import Path
from stat import S_IMODE
from typing import Any, Mapping

import numpy as np

from ..tape import Array
from .errors import CheckpointError, named, refusal, shown
from .stored import FLOATS, MappedFile, Stored

# XL's header has 60 kB; a shape has two sizes; more is a forgery, and costly to parse or multiply
LONGEST_HEADER = 2**25
MOST_AXES = 8
ITEM_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2,
    "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}


def read_safetensors(path: Path) -> dict[str, Stored]:
    """Every tensor of the file by name; raises CheckpointError if the file is not sound."""
    size = path.stat().st_size
    header, start = _header(path, size)
    header.pop("__metadata__", None)
    spans: list[tuple[int, int, str]] = []
    problems: list[str] = []
    for name, entry in header.items():
        problem = _entry_problem(entry)
        if problem:
            problems.append(f"{shown(name)} {problem}")
        else:
            spans.append((*entry["data_offsets"], name))
    if problems:
        raise refusal(path, *problems)
    _check_spans(path, sorted(spans), size - start)
    if not spans:
        raise refusal(path, "holds no tensor")
    file = MappedFile(path)
    return {
        name: _stored(file, dtype, shape, start + header[name]["data_offsets"][0])
        for name, (dtype, shape) in _as_the_library_reads(path).items()
    }


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a file's header carries beside its tensors."""
    metadata = _header(path, path.stat().st_size)[0].get("__metadata__", {})
    if not isinstance(metadata, dict):
        raise refusal(path, "its __metadata__ is no JSON object")
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def _header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8:
            raise refusal(path, f"is cut off: {size} bytes, a safetensors file has 8 and a header")
        if length > min(LONGEST_HEADER, size - 8):
            raise refusal(
                path, f"is no safetensors file, or cut off: a header of {length} bytes is "
                f"announced, {size - 8} follow"
            )
        raw = file.read(length)
    return parsed_json(path, raw, "header"), 8 + length


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds; raises CheckpointError for anything else."""
    if path.stat().st_size > LONGEST_HEADER:
        raise refusal(path, "is too large for a description of a model")
    return parsed_json(path, path.read_bytes(), "content")


def parsed_json(path: Path, raw: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `raw`; raises CheckpointError for anything else, or a repeated key."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            raise ValueError(f"{named(key for key in counts if counts[key] > 1)} given twice")
        return result

    try:
        parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise refusal(path, f"its {what} is no sound JSON ({shown(str(error))})") from None
    if not isinstance(parsed, dict):
        raise refusal(path, f"its {what} is no JSON object")
    return parsed


def _entry_problem(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "has no dtype, shape and data_offsets"
    dtype, shape, span = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        return f"has the unknown dtype {shown(dtype)}"
    if not isinstance(shape, list) or len(shape) > MOST_AXES or not all(map(_is_size, shape)):
        return f"has no valid shape: {shown(shape)}"
    if not isinstance(span, list) or len(span) != 2 or not all(map(_is_size, span)):
        return f"has no valid data_offsets: {shown(span)}"
    # Python's integers do not overflow, so a forged shape cannot wrap round to a small size
    wanted = math.prod(shape) * ITEM_SIZES[dtype]
    if span[1] - span[0] != wanted:
        return (f"needs {shown(wanted)} bytes for {dtype} {shown(shape)}, its span "
                f"{shown(span)} has another length")
    return ""


def _is_size(value: Any) -> bool:
    # numbers of more than 63 bits are no size of anything, and slow to print
    return type(value) is int and 0 <= value < 2**63


def _check_spans(path: Path, spans: list[tuple[int, int, str]], size: int) -> None:
    end, before = 0, "the header"
    for begin, stop, name in spans:
        if begin != end:
            how = "overlaps" if begin < end else f"leaves {begin - end} bytes unused after"
            raise refusal(path, f"{shown(name)} {how} {shown(before)}")
        end, before = stop, name
    if end > size:
        raise refusal(path, f"is cut off: its tensors need {end} bytes, it has {size}")
    if end < size:
        raise refusal(path, f"has {size - end} bytes that belong to no tensor")


def _as_the_library_reads(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every tensor."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}
            return {name: (part.get_dtype(), tuple(part.get_shape()))
                    for name, part in slices.items()}
    except SafetensorError as error:
        raise refusal(path, f"is no sound safetensors file ({shown(str(error))})") from None


def _stored(file: MappedFile, dtype: str, shape: tuple[int, ...], offset: int) -> Stored:
    if dtype in FLOATS:
        return file.tensor(offset, shape, dtype)

    def read(wanted: np.dtype) -> Array:
        raise CheckpointError(f"{file.path}: a {dtype} tensor cannot be a parameter")

    return Stored(shape, dtype, read)


def written_size(tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> int:
    """Bytes that `write_safetensors` will write at most, with 256 for a tensor's header entry."""
    notes = sum(len(key) + 2 * len(text) for key, text in (metadata or {}).items())
    return 256 * (1 + len(tensors)) + notes + sum(array.nbytes for array in tensors.values())


def write_safetensors(
    path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays, with `metadata` in the header; OSError where the disk refuses.

    The library wants all tensors at once, each in C order: one that lies otherwise is copied.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # the library takes C order as given; np.array, since ascontiguousarray makes () into (1,)
    dense = {name: array if array.flags.c_contiguous else np.array(array, order="C")
             for name, array in tensors.items()}
    # the library makes files that their owner alone may read; an ordinary file tells what is usual
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
        return dict(load_file(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise refusal(path, f"is no sound safetensors file ({shown(str(error))})") from None
