"""Where a corpus's text comes from: documents of UTF-8 bytes, read block by block."""

from __future__ import annotations

import codecs
import hashlib
import os
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Callable, Iterable, Iterator

from ..documents import open_regular

MARK = "\ufeff"     # the byte-order mark that some editors put before a text
# encoding a block briefly needs some thirty times its size
BLOCK_BYTES = 1 << 18
_SNIFF_BYTES = 8192
# files of a folder that a note names
NAMED = 3
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class CorpusError(ValueError):
    """A corpus cannot be loaded: what was given, why not, and what would fit."""


def cause(error: BaseException) -> str:
    """What went wrong, in one line, without the path, which the message names."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(words.split())


@dataclass(frozen=True)
class Document:
    """One text: a name for messages, and a function that opens its bytes."""

    name: str
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Source:
    """A corpus before it is tokenised: a name and its documents, always in the same order."""

    name: str
    documents: tuple[Document, ...]


class ContentHash:
    """The number of bytes, and the sha256 of all documents' sha256: where one ends counts too.

    `counts` says how often each text of `sought` stands in the documents.
    """

    def __init__(self, sought: Iterable[str] = ()) -> None:
        self.n_bytes = 0
        self.counts = dict.fromkeys(sought, 0)
        self._all = hashlib.sha256()

    def reading(self, document: Document) -> Iterator[bytes]:
        """A document's bytes, block by block; added here on the way."""
        one = hashlib.sha256()
        before = dict.fromkeys(self.counts, b"")
        for block in read_blocks(document):
            self.n_bytes += len(block)
            for text, begun in before.items():
                both, sought = begun + block, text.encode()
                self.counts[text] += both.count(sought)
                # the beginning of one that ends in the next block, and never a whole one
                before[text] = both[len(both) - len(sought) + 1:]
            one.update(block)
            yield block
        self._all.update(one.digest())

    def hexdigest(self) -> str:
        """The hash of all documents that were read to their end."""
        return self._all.hexdigest()


def content_hash(source: Source, sought: Iterable[str] = ()) -> ContentHash:
    """Read a source to its end, for its hash and size and how often some texts stand in it."""
    content = ContentHash(sought)
    for document in source.documents:
        for _ in content.reading(document):
            pass
    return content


def read_blocks(document: Document) -> Iterator[bytes]:
    """A document's bytes, block by block; CorpusError if unreadable."""
    try:
        with document.open() as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise CorpusError(f"cannot read {document.name}: {cause(error)}") from error


def read_text(document: Document, content: ContentHash | None = None) -> Iterator[str]:
    """A document's text, piece by piece, newlines as they are; its bytes are added to content.

    A byte-order mark before it is left out. CorpusError names the document and the first byte that
    is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="strict")
    offset, begun = 0, False
    blocks = read_blocks(document) if content is None else content.reading(document)
    # an empty block at the end: what still waits then is half a character
    for block in chain(blocks, [b""]):
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
            yield text if begun else text.removeprefix(MARK) or text
            begun = begun or bool(text)
        except UnicodeDecodeError as error:
            at = offset - waiting + error.start
            utf16 = at == 0 and error.object[:2] in _UTF16_MARKS
            raise CorpusError(
                f"{document.name} is not UTF-8 text: byte 0x{error.object[error.start]:02x} at "
                f"byte offset {at}{' (the mark of UTF-16)' if utf16 else ''}; convert it to UTF-8 "
                f"or leave it out"
            ) from None
        offset += len(block)


def file_source(name: str, paths: Iterable[Path]) -> Source:
    """Files of UTF-8 text, each a document."""
    return Source(name, tuple(
        Document(str(path), partial(open_regular, path, CorpusError)) for path in paths))


def folder_source(folder: Path, report: Callable[[str], None] = lambda note: None) -> Source:
    """All text files below a folder, in the order of their paths; CorpusError if there are none.

    Left out: names that begin with a dot, __pycache__, links to folders, and binary files, which
    have a zero byte among their first 8192 (the rule of git and grep). `report` is called with what
    was read and what was not.
    """
    left: list[str] = []

    def is_wanted(inner: Path) -> bool:
        why = ("hidden" if inner.name.startswith(".") else "link" if inner.is_symlink() else
               "compiled code" if inner.name == "__pycache__" else "")
        if why:
            left.append(f"{inner.relative_to(folder)}/ ({why})")
        return not why

    paths: list[Path] = []
    for path in walk(folder, is_wanted):
        if path.name.startswith("."):
            left.append(f"{path.relative_to(folder)} (hidden)")
        elif not path.is_file():
            left.append(f"{path.relative_to(folder)} (not a regular file)")
        else:
            paths.append(path)
    documents: list[Document] = []
    for path, document in zip(paths, file_source(str(folder), paths).documents):
        if _is_text(document):
            documents.append(document)
        else:
            left.append(f"{path.relative_to(folder)} (binary)")
    if not documents:
        raise CorpusError(
            f"folder {folder} holds no text file (hidden and binary files are left out)"
        )
    read = [str(Path(document.name).relative_to(folder)) for document in documents]
    report(f"{folder}: read {_some(read, 'file')}; "
           + (f"left out {_some(left)}" if left else "none left out"))
    return Source(str(folder), tuple(documents))


def _some(names: list[str], what: str = "") -> str:
    """How many, and the first few by name: 12 files (a.txt, b.txt, ...)."""
    shown = ", ".join(names[:NAMED] + ["..."] * (len(names) > NAMED))
    if not what:
        return shown if len(names) <= NAMED else f"{len(names)}: {shown}"
    return f"{len(names)} {what}{'s' * (len(names) != 1)} ({shown})"


def walk(folder: Path, enter: Callable[[Path], bool]) -> Iterator[Path]:
    """Every file below a folder, its own files first, then folder by folder; each sorted by name.

    enter decides whether a folder is entered. CorpusError for an unreadable folder.
    """

    def stop(error: OSError) -> None:
        raise CorpusError(f"cannot read {error.filename}: {cause(error)}") from error

    for here, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in sorted(folders) if enter(Path(here, name))]
        yield from (Path(here, name) for name in sorted(names))


def _is_text(document: Document) -> bool:
    """Whether a file belongs to the corpus; UTF-16 does, to be rejected with its name later."""
    start = next(read_blocks(document), b"")[:_SNIFF_BYTES]
    return b"\0" not in start or start[:2] in _UTF16_MARKS
