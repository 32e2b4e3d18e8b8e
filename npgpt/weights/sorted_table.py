"""LevelDB's sorted table, in which TensorFlow writes its index; read only.

A footer of 48 bytes gives the place of the index block; the index block gives the places of the
data blocks; every block is followed by one byte for its compression and the masked crc32c of both.
A block stores of each key the length of the prefix shared with the previous one, and the rest.
Source: LevelDB's table format page.
"""

from __future__ import annotations

from pathlib import Path

from ..documents import read_bytes
from .crc32c import masked_crc32c
from .errors import CheckpointError, Unsound, bad_file

FOOTER = 48
MAGIC = 0xDB4775248B80FB57


def read_table(path: Path) -> dict[str, bytes]:
    """All keys and values; raises CheckpointError if the table is not sound."""
    data = read_bytes(path, CheckpointError)
    if len(data) < FOOTER or int.from_bytes(data[-8:], "little") != MAGIC:
        raise bad_file(path, "is not a TensorFlow index, or truncated: its magic is not at the end")
    try:
        _, at = _handle(data, len(data) - FOOTER)
        index_place, _ = _handle(data, at)
        result: dict[str, bytes] = {}
        for _, value in _entries(_block(path, data, index_place)):
            place, _ = _handle(value, 0)
            for key, content in _entries(_block(path, data, place)):
                result[key.decode("utf-8")] = content
        return result
    except (Unsound, IndexError, UnicodeDecodeError) as error:
        raise bad_file(path, f"its table cannot be read ({error})") from None


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise Unsound("a number has more than 64 bits")


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _block(path: Path, data: bytes, place: tuple[int, int]) -> bytes:
    offset, size = place
    end = offset + size
    if end + 5 > len(data) - FOOTER:
        raise Unsound("a block is outside the file")
    if int.from_bytes(data[end + 1:end + 5], "little") != masked_crc32c(data[offset:end + 1]):
        raise bad_file(path, f"is damaged: the block at byte {offset} fails its checksum")
    if data[end] != 0:
        raise bad_file(path, "is compressed, which no published GPT-2 checkpoint is")
    return data[offset:end]


def _entries(block: bytes) -> list[tuple[bytes, bytes]]:
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise Unsound("a block is shorter than its own list of restarts")
    at, key, found = 0, b"", []
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or at + fresh + length > end:
            raise Unsound("an entry is outside its block")
        key = key[:shared] + block[at:at + fresh]
        found.append((key, block[at + fresh:at + fresh + length]))
        at += fresh + length
    return found
