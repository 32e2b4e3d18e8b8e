"""Readers of a pack for a port in another language: one small file, to be copied into the port."""

from __future__ import annotations

from importlib.resources import files

from ..suggest import unknown

READERS = {"c": "pack.h", "js": "pack.mjs"}


def reader(language: str) -> str:
    """The source of the reader and writer for "c" or "js"; ValueError for another language."""
    if not isinstance(language, str) or language not in READERS:
        raise unknown("language", language, READERS)
    return files(__package__).joinpath("languages", READERS[language]).read_text(encoding="utf-8")
