"""Corpora by name, and the way from a name or a path to a source of text."""

from __future__ import annotations

import os
import sysconfig
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Callable

from ..suggest import did_you_mean
from .shakespeare import fetch
from .sources import CorpusError, Document, Source, cause, file_source, folder_source, walk

Report = Callable[[str], None]

CORPORA = {
    "python-docs": "the Python language reference, English prose; about 0.5 MB, no network",
    "python-source": "the standard library's own source; about 10 MB, no network",
    "shakespeare": "Tiny Shakespeare, 1.1 MB; downloaded once",
}

# not source worth learning from: tests, other packages, compiled code, and generated tables (codec
# maps, and the text of python-docs itself)
_SKIPPED_FOLDERS = {
    "__pycache__", "dist-packages", "encodings", "idle_test", "lib-dynload", "pydoc_data",
    "site-packages", "test", "tests",
}
# generated when Python is installed
_SKIPPED_FILES = ("_sysconfigdata", "sitecustomize", "usercustomize")


def find_source(name_or_path: str | os.PathLike[str], folder: Path, report: Report) -> Source:
    """The source that a name of CORPORA, a file or a folder stands for.

    A str that is a corpus's name means that corpus: a folder of that name is "./NAME", or a Path.
    folder holds downloads. CorpusError for anything else, with the nearest name.
    """
    if name_or_path == "python-docs":
        return python_docs()
    if name_or_path == "python-source":
        return python_source()
    if name_or_path == "shakespeare":
        content = fetch(folder, report)
        return Source("shakespeare", (Document("shakespeare", partial(BytesIO, content)),))
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise CorpusError(
            f"corpus: expected a path or one of {', '.join(CORPORA)}, got "
            f"{type(name_or_path).__name__}"
        )
    path, given = Path(name_or_path), str(name_or_path)
    try:
        # "" is not a folder, though Path("") is the current one
        if given and path.is_dir():
            return folder_source(path, report)
        if path.is_file():
            return file_source(str(path), [path])
        there = bool(given) and path.exists()
    except (OSError, ValueError) as error:
        raise CorpusError(f"{given!r:.80} is not a path: {cause(error)}") from error
    if there:
        raise CorpusError(f"{path} is neither a file nor a folder")
    raise CorpusError(
        f"no corpus, file or folder {given!r:.200}{did_you_mean(given.lower(), CORPORA)}; the "
        f"named corpora are {', '.join(CORPORA)}"
    )


def python_docs() -> Source:
    """CPython's help topics, the language reference in English prose, sorted by name.

    Every Python has them (pydoc_data.topics); the text differs a little between versions.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise CorpusError(
            "this Python lacks pydoc_data, a part of its standard library; use python-source, or "
            "any file or folder of text"
        ) from error
    return Source("python-docs", tuple(
        Document(f"python-docs {name}", partial(BytesIO, topics[name].encode("utf-8")))
        for name in sorted(topics)
    ))


def python_source() -> Source:
    """The standard library's .py files, in the order of their paths."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = [
        path
        for path in walk(library, lambda inner: inner.name not in _SKIPPED_FOLDERS)
        if path.suffix == ".py" and not path.name.startswith(_SKIPPED_FILES) and path.is_file()
    ]
    if not paths:
        raise CorpusError(
            f"this Python has no source files in {library}; use python-docs, or any file or folder "
            f"of text"
        )
    return file_source("python-source", paths)
