"""Safetensors files laid out by hand, sound or not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Mapping

import numpy as np

NAMES = {"float16": "F16", "float32": "F32", "float64": "F64", "int64": "I64", "uint16": "BF16"}


def header_of(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    header: dict[str, Any] = {}
    end = 0
    for name, array in tensors.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": NAMES[array.dtype.name], "shape": list(array.shape),
                        "data_offsets": [begin, end]}
    return header


def write_raw(
    path: Path, tensors: Mapping[str, np.ndarray], header: Any = None, modulo: int | None = None
) -> None:
    """Write tensors with a header of their own or a given one, padded to `modulo` of 8."""
    text = json.dumps(header_of(tensors) if header is None else header).encode()
    if modulo is not None:
        text += b" " * ((modulo - len(text)) % 8)
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in tensors.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_zeros(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A sound float32 file of zeros, which takes no room on the disk."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
