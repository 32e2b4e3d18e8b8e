"""Size and checksum of a folder's files, in one file of the folder that has a checksum of its own.

    {"files": {"model.safetensors": {"bytes": 3271, "crc32": "1c291ca3"}, ...}, "crc32": "89be207e"}

The last crc32 is that of the table. npgpt computes a crc32, which finds every flipped bit at 3 GB/s
on one core; the sha256 of a download, a sixth as fast without instructions for it, is as published.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Container, Mapping

from ..documents import read_json
from ..files import write_text
from .errors import CheckpointError, bad_file

CHECKSUMS = "checksums.json"
BLOCK = 2**20

Entry = Mapping[str, int | str]
"""Of one file: `bytes`, and `crc32` or `sha256` in hexadecimal digits."""


def crc32(path: Path) -> str:
    """The CRC-32 of a file's content, eight hexadecimal digits."""
    value, block = 0, memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            value = zlib.crc32(block[:count], value)
    return f"{value:08x}"


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


KINDS = {"crc32": crc32, "sha256": sha256}


def measured(folder: Path) -> dict[str, Entry]:
    """Size and crc32 of every file of a folder, by name; the files at the same time, on threads."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(crc32, files))
    return {path.name: {"bytes": path.stat().st_size, "crc32": value}
            for path, value in zip(files, found)}


def write_checksums(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write the folder's table of checksums; OSError where nothing can be written."""
    write_text(folder / CHECKSUMS, _content(entries))


def _content(entries: Mapping[str, Entry]) -> str:
    own = zlib.crc32(json.dumps(entries).encode("ascii"))
    return json.dumps({"files": entries, "crc32": f"{own:08x}"}, indent=1) + "\n"


def damaged_files(folder: Path, unread: Container[str] = ()) -> dict[str, str]:
    """What is wrong with the files in a folder's table of checksums, by name; {} if nothing is.

    Of a file in `unread` the size alone is compared. Raises OSError if a file cannot be read.
    """
    try:
        entries = _entries(folder / CHECKSUMS)
    except CheckpointError:
        return {CHECKSUMS: "is damaged"}

    def problem(name: str) -> str:
        return _problem(folder / name, entries[name], read=name not in unread)

    with ThreadPoolExecutor() as threads:
        found = dict(zip(entries, threads.map(problem, entries)))
    return {name: what for name, what in found.items() if what}


def check_crc32(*files: Path) -> None:
    """Raise CheckpointError if files of one folder differ from the crc32 in its table.

    Nothing is compared without a table, nor with a sha256, which takes longer than loading does.
    """
    table = files[0].with_name(CHECKSUMS)
    if not table.is_file():
        return
    entries = _entries(table)
    for file in files:
        entry = entries.get(file.name, {})
        problem = _problem(file, entry) if "crc32" in entry else ""
        if problem:
            raise bad_file(file, problem)


def _problem(path: Path, entry: Entry, read: bool = True) -> str:
    """How a file differs from its entry, "" if it does not; its content counts with `read`."""
    if not path.is_file():
        return "is not a regular file" if path.exists() else "is missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"has {size:,} bytes, expected {entry['bytes']:,}"
    kinds = [kind for kind in KINDS if kind in entry] if read else []
    wrong = [kind for kind in kinds if KINDS[kind](path) != entry[kind]]
    return f"does not match its {wrong[0]}" if wrong else ""


def _entries(path: Path) -> dict[str, Entry]:
    """The table of a folder's checksums; raises CheckpointError unless it is what was written."""
    files = read_json(path, CheckpointError).get("files")
    sound = isinstance(files, dict) and all(
        Path(name).name == name and isinstance(entry, dict) and type(entry.get("bytes")) is int
        for name, entry in files.items())
    if not isinstance(files, dict) or not sound or path.read_bytes() != _content(files).encode():
        raise CheckpointError(f"{path} is damaged")
    return files
