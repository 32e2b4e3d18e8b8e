"""Tensors as they lie in files: known by shape and type at once, read when wanted.

A file is mapped into memory copy-on-write: nothing is read until it is used, pages are shared with
the system's file cache, and writing into a parameter changes the process's own copy, never the
file. The file may be replaced meanwhile, as npgpt does it, but not be cut short in place: no
program survives that for a page it has not read yet.
Where the stored bytes cannot serve as they are (another type, or a start that is no multiple of the
item size, for which every matrix product would make a copy), the tensor is read once into memory of
its own. The published gpt2 file is of that kind: its header has an odd length.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from ..tape import Array
from .errors import refusal

# names as in safetensors; bfloat16 is the upper half of a float32, and NumPy does not know it
FLOATS = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}
PIECE = 2**20


@dataclass(frozen=True)
class Stored:
    """A tensor that can be had: its shape, its stored type (a key of FLOATS), and how to get it."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[np.dtype], Array]
    """Gives an array of the asked type that the caller may write to."""


class MappedFile:
    """A file in memory, copy-on-write; stays there as long as an array of it is alive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.size = file.seek(0, 2)
            if self.size == 0:
                raise refusal(path, "is empty")
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def tensor(self, offset: int, shape: tuple[int, ...], dtype: str) -> Stored:
        """The tensor that starts at `offset`; the caller has checked that it lies in the file."""
        return Stored(shape, dtype, lambda wanted: self._read(offset, shape, dtype, wanted))

    def _read(self, offset: int, shape: tuple[int, ...], dtype: str, wanted: np.dtype) -> Array:
        raw = np.frombuffer(self.bytes, FLOATS[dtype], math.prod(shape), offset)
        if dtype != "BF16" and raw.dtype == wanted and raw.flags.aligned:
            return raw.reshape(shape)
        out = np.empty(raw.size, wanted)
        # read, not copied from the mapping, which would leave a second copy in this process
        with self.path.open("rb", buffering=0) as file:
            file.seek(offset)
            for start in range(0, raw.size, PIECE):
                piece = np.empty(min(PIECE, raw.size - start), FLOATS[dtype])
                if file.readinto(piece.data.cast("B")) != piece.nbytes:
                    raise refusal(self.path, "grew shorter while it was read")
                out[start:start + piece.size] = widened(piece, dtype)
        return out.reshape(shape)


def widened(raw: Array, dtype: str) -> Array:
    """Stored numbers as floats: bfloat16 becomes float32, the rest is left as it is."""
    if dtype == "BF16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw


def transposed(stored: Stored) -> Stored:
    """The same matrix with its axes swapped, contiguous."""

    def read(wanted: np.dtype) -> Array:
        return np.ascontiguousarray(stored.read(wanted).T)

    return Stored(stored.shape[::-1], stored.dtype, read)


def same(a: Stored, b: Stored) -> bool:
    """Whether two tensors hold the same numbers in the same type; reads both if they might."""
    if a.shape != b.shape or a.dtype != b.dtype or a.dtype not in FLOATS:
        return False
    wide = np.dtype(np.float64 if a.dtype == "F64" else np.float32)
    return bool(np.array_equal(a.read(wide), b.read(wide)))
