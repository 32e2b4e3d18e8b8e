"""Tensors in files: shape and dtype are known at once, the numbers are read when needed.

A file is mapped into memory copy-on-write: nothing is read until it is used, pages are shared with
the system's file cache, and writing into a parameter changes the process's own copy, never the
file. The file may be replaced meanwhile, as npgpt does it, but not truncated in place: no program
survives that for a page it has not read yet.
Where the stored bytes cannot be used as they are (another dtype, or an offset that is not a
multiple of the item size, for which every matmul would make a copy), the tensor is read once into
memory of its own. The published gpt2 file is such a case: its header has an odd length.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from ..documents import open_regular
from ..tape import Array
from .errors import CheckpointError, bad_file

# names as in safetensors; bfloat16 is the upper half of a float32, and NumPy does not know it
FLOATS = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}
PIECE = 2**20


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its shape, its stored dtype, and how to read it if that is in FLOATS."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[np.dtype], Array]
    """Returns an array of the given dtype that the caller may write to."""


class MappedFile:
    """A file mapped copy-on-write; stays mapped as long as an array of it is alive.

    With `mapped=False` every tensor is read into memory of its own, which goes with it: mapped
    pages that were read stay with the process until the last array of the file has gone.
    """

    def __init__(self, path: Path, mapped: bool = True) -> None:
        self.path = path
        self.mapped = mapped
        with open_regular(path, CheckpointError) as file:
            self.size = file.seek(0, 2)
            if self.size == 0:
                raise bad_file(path, "is empty")
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def tensor(self, offset: int, shape: tuple[int, ...], dtype: str) -> Stored:
        """The tensor that starts at `offset`; the caller has checked that it is in the file."""
        return Stored(shape, dtype, lambda wanted: self._read(offset, shape, dtype, wanted))

    def _read(self, offset: int, shape: tuple[int, ...], dtype: str, wanted: np.dtype) -> Array:
        raw = np.frombuffer(self.bytes, FLOATS[dtype], math.prod(shape), offset)
        if self.mapped and dtype != "BF16" and raw.dtype == wanted and raw.flags.aligned:
            return raw.reshape(shape)
        out = np.empty(raw.size, wanted)
        # not copied from the mapping, whose pages would stay in memory as a second copy
        with self.path.open("rb", buffering=0) as file:
            file.seek(offset)
            for start in range(0, raw.size, PIECE):
                piece = np.empty(min(PIECE, raw.size - start), FLOATS[dtype])
                if file.readinto(piece.data.cast("B")) != piece.nbytes:
                    raise bad_file(self.path, "was truncated while it was read")
                if dtype == "BF16":
                    piece = (piece.astype(np.uint32) << 16).view(np.float32)
                out[start:start + piece.size] = piece
        return out.reshape(shape)


def transposed(stored: Stored) -> Stored:
    """The same matrix with its axes swapped, contiguous."""

    def read(wanted: np.dtype) -> Array:
        return np.ascontiguousarray(stored.read(wanted).T)

    return Stored(stored.shape[::-1], stored.dtype, read)


def third(stored: Stored, i: int) -> Stored:
    """The i-th third of a tensor's rows."""
    rows = stored.shape[0] // 3

    def read(wanted: np.dtype) -> Array:
        return stored.read(wanted)[i * rows:(i + 1) * rows]

    return Stored((rows, *stored.shape[1:]), stored.dtype, read)


def same(a: Stored, b: Stored) -> bool:
    """Whether two tensors have the same elements and dtype; reads both only if they might."""
    if a.shape != b.shape or a.dtype != b.dtype or a.dtype not in FLOATS:
        return False
    wide = np.dtype(np.float64 if a.dtype == "F64" else np.float32)
    return bool(np.array_equal(a.read(wide), b.read(wide)))
