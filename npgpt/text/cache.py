"""Token files: a corpus's tokens on disk, mapped into memory when used.

A file holds, little-endian: the magic "npgpttok", the version, the header's length and its crc32
(uint32 each); the header, JSON padded with spaces; the tokens, uint16. The header gives the dtype,
the count and crc32 of the tokens, the tokenizer, and the content hash and size of the source. These
expose a file that is truncated, damaged or not a token file, and it is built again.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Iterable, Mapping

import numpy as np

from ..checked import checked
from ..documents import open_regular, parse_json
from ..files import remove_partial, replacing_file

MAGIC = b"npgpttok"
VERSION = 2
SUFFIX = ".tokens"
DTYPE = np.dtype("<u2")
_START = struct.Struct("<8sIII")
_ALIGN = 64
_READ_BYTES = 1 << 20
_LEFTOVER_SECONDS = 3600.0

# the threads of a process would write to the same temporary file; each process has its own
_writing = threading.Lock()


class DamagedTokens(ValueError):
    """A token file that cannot be used: what is wrong with it."""


class EarlierTokens(DamagedTokens):
    """A token file as an earlier version of npgpt wrote it."""


@dataclass(frozen=True)
class TokenHeader:
    """The header of a token file."""

    tokenizer: Mapping[str, object]
    source_hash: str
    n_bytes: int
    count: int = 0
    crc32: int = 0
    dtype: str = DTYPE.str


@checked
def cache_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder for downloads and token files; it need not exist yet.

    The first of: the folder given, $NPGPT_CACHE, $XDG_CACHE_HOME/npgpt, ~/.cache/npgpt.
    ValueError for a ~ without a home folder.
    """
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG specification: a relative path is to be ignored
    default = f"{xdg}/npgpt" if os.path.isabs(xdg) else "~/.cache/npgpt"
    chosen = given if given is not None else os.environ.get("NPGPT_CACHE") or default
    try:
        return Path(chosen).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"the cache folder {chosen} needs a home folder, and there is none; set NPGPT_CACHE"
        ) from error


def write_tokens(path: Path, header: TokenHeader, chunks: Iterable[np.ndarray]) -> None:
    """Write chunks of uint16, shape (n,), to a token file that replaces path once it is complete.

    count and crc32 of the header are filled in here. Several processes may write one path at once:
    each writes its own file, and the last to finish stays. OSError where nothing can be written;
    an error raised by chunks passes through. Neither leaves a file behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partial(path.parent, SUFFIX, _LEFTOVER_SECONDS)
    # room for the numbers that are known only at the end
    largest = _header_bytes(replace(header, count=2**63, crc32=2**32))
    room = -(-(len(largest) + _START.size) // _ALIGN) * _ALIGN - _START.size
    count = crc32 = 0
    with _writing, replacing_file(path) as beside, open(beside, "wb") as file:
        file.write(b"\0" * (_START.size + room))
        for chunk in chunks:
            tokens = np.ascontiguousarray(chunk, dtype=DTYPE)
            file.write(tokens.data)
            count += len(tokens)
            crc32 = zlib.crc32(tokens.data, crc32)
        text = _header_bytes(replace(header, count=count, crc32=crc32)).ljust(room)
        file.seek(0)
        file.write(_START.pack(MAGIC, VERSION, room, zlib.crc32(text)))
        file.write(text)


def read_tokens(path: Path) -> tuple[TokenHeader, np.ndarray]:
    """A token file's header and its tokens, uint16, shape (count,), mapped and read-only.

    All of it is read once, piece by piece, to verify the checksum. FileNotFoundError if there is
    none, DamagedTokens if it cannot be used, OSError where it cannot be read.
    """
    with open_regular(path, DamagedTokens) as file:
        size = os.fstat(file.fileno()).st_size
        header, start = _read_header(file, size)
        expected = start + header.count * DTYPE.itemsize
        if size != expected:
            raise DamagedTokens(f"expected {expected:,} bytes, got {size:,}")
        # not through the map, whose pages would all count as this process's memory
        crc32 = 0
        while block := file.read(_READ_BYTES):
            crc32 = zlib.crc32(block, crc32)
        if crc32 != header.crc32:
            raise DamagedTokens("its tokens do not match their checksum")
        mapped = np.memmap(file, dtype=DTYPE, mode="r", offset=start, shape=(header.count,))
    # a plain view: every slice and sum of an np.memmap would be an np.memmap too
    return header, mapped.view(np.ndarray)


def _read_header(file: BinaryIO, size: int) -> tuple[TokenHeader, int]:
    """The header, and where the tokens begin, of a file of `size` bytes."""
    start = file.read(_START.size)
    if len(start) < _START.size or not start.startswith(MAGIC):
        raise DamagedTokens("it is not a token file")
    _, version, length, crc32 = _START.unpack(start)
    if version != VERSION:
        kind = EarlierTokens if 0 < version < VERSION else DamagedTokens
        raise kind(f"expected version {VERSION}, got {version}")
    # the length itself may be damaged: do not allocate gigabytes for it
    text = file.read(min(length, size))
    if len(text) < length or zlib.crc32(text) != crc32:
        raise DamagedTokens("its header does not match its checksum")
    try:
        header = TokenHeader(**parse_json(text, "the text"))
    except (TypeError, ValueError) as error:
        raise DamagedTokens(f"its header cannot be read ({error})") from error
    if header.dtype != DTYPE.str or type(header.count) is not int or header.count <= 0:
        raise DamagedTokens(
            f"expected tokens of dtype {DTYPE.str!r}, got {header.count!r} of {header.dtype!r}"
        )
    return header, _START.size + length


def _header_bytes(header: TokenHeader) -> bytes:
    return json.dumps(asdict(header)).encode("ascii")
