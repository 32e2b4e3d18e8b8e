"""Corpora by name, and the way from a name or a path to a source of text."""

from __future__ import annotations

import difflib
import io
import os
import sysconfig
from pathlib import Path
from typing import Callable

from .download import SHAKESPEARE, fetch
from .sources import (
    CorpusError,
    Document,
    Source,
    cause,
    file_document,
    file_source,
    folder_source,
    walk,
)

Say = Callable[[str], None]

CORPORA = {
    "python-docs": "the Python language reference, English prose; about 0.5 MB, no network",
    "python-source": "the standard library's own source; about 10 MB, no network",
    "shakespeare": "Tiny Shakespeare, 1.1 MB; downloaded once",
}
_WITHOUT_NETWORK = "python-docs or python-source (no network needed), or any file or folder of text"

# no source to read and learn from: tests, other people's packages, compiled code, and generated
# tables (codec maps, and the very text of python-docs)
_SKIPPED_FOLDERS = {
    "__pycache__", "dist-packages", "encodings", "idle_test", "lib-dynload", "pydoc_data",
    "site-packages", "test", "tests",
}
# written by each machine's own installation
_SKIPPED_FILES = ("_sysconfigdata", "sitecustomize", "usercustomize")


def find_source(name_or_path: str | os.PathLike[str], folder: Path, say: Say) -> Source:
    """The source that a name of CORPORA, a file or a folder stands for.

    A str that is a corpus's name means that corpus: a folder of that name is "./NAME", or a Path.
    folder keeps downloads. CorpusError for anything else, with the nearest names.
    """
    if name_or_path == "python-docs":
        return python_docs()
    if name_or_path == "python-source":
        return python_source()
    if name_or_path == "shakespeare":
        content = fetch(SHAKESPEARE, folder, say, _WITHOUT_NETWORK)
        return Source("shakespeare", (_held("shakespeare", content),))
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise CorpusError(
            f"a corpus is a name or a path, given {type(name_or_path).__name__}; "
            f"the names are {', '.join(CORPORA)}"
        )
    return _path_source(name_or_path)


def _path_source(given: str | os.PathLike[str]) -> Source:
    """A file's or a folder's source; an empty str is no path, though Path("") is this folder."""
    path = Path(given)
    try:
        if str(given) and path.is_dir():
            return folder_source(path)
        if path.is_file():
            return file_source(path)
        there = bool(str(given)) and path.exists()
    except (OSError, ValueError) as error:
        raise CorpusError(f"{str(given)!r:.80} is no path: {cause(error)}") from error
    if there:
        raise CorpusError(f"{path} is neither a file nor a folder")
    near = difflib.get_close_matches(str(given).lower(), CORPORA, n=2)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise CorpusError(
        f"no corpus, file or folder {str(given)!r:.200}; {hint}the named corpora are "
        f"{', '.join(CORPORA)}"
    )


def python_docs() -> Source:
    """CPython's help topics, the language reference in English prose, sorted by name.

    Every Python carries them (pydoc_data.topics); the text differs a little with its version.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise CorpusError(
            "this Python lacks pydoc_data, a module of its standard library; use python-source, or "
            "any file or folder of text"
        ) from error
    return Source("python-docs", tuple(
        _held(f"python-docs {name}", topics[name].encode("utf-8")) for name in sorted(topics)
    ))


def python_source() -> Source:
    """The standard library's .py files, in the order of their paths; differs with the version."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = [
        path
        for path in walk(library, lambda name: name not in _SKIPPED_FOLDERS)
        if path.suffix == ".py" and not path.name.startswith(_SKIPPED_FILES) and path.is_file()
    ]
    if not paths:
        raise CorpusError(
            f"this Python has no source files in {library}; use python-docs, or any file or folder "
            f"of text"
        )
    return Source("python-source", tuple(file_document(path) for path in paths))


def _held(name: str, content: bytes) -> Document:
    """A document whose bytes are in memory."""
    return Document(name, lambda: io.BytesIO(content))
