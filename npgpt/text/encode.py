"""Encoding a source piece by piece, so that a corpus may be larger than memory.

Two documents are separated by the tokenizer's end-of-text id, or by a newline if it has none; empty
documents are left out. Within a document the text is cut only where Tokenizer.safe_cut says that no
id depends on it, so the ids are those of the whole document encoded at once. One exception bounds
the memory: more than LONGEST_STRETCH characters without a safe cut are cut anyway, and the ids at
that place may differ (the text that they decode to never does).
"""

from __future__ import annotations

from typing import Iterator

import numpy as np

from .bpe import BPETokenizer
from .chars import MOST_IDS, CharTokenizer, UnknownCharacter
from .sources import ContentHash, CorpusError, Document, Source, read_text
from .tokenizer import Tokenizer

LONGEST_STRETCH = 16 << 20
NEWLINE = "\n"


def char_vocabulary(source: Source) -> CharTokenizer:
    """The tokenizer of every character of a source, and of the newline between its documents.

    CorpusError for more than 65,536 distinct characters, and for a source without text.
    """
    characters: set[str] = set()
    documents = 0
    for document in source.documents:
        found: set[str] = set()
        for piece in read_text(document):
            found.update(piece)
        characters |= found
        documents += bool(found)
    if documents > 1:
        characters.add(NEWLINE)
    try:
        return CharTokenizer("".join(sorted(characters)))
    except ValueError as error:
        raise CorpusError(f"{source.name}: {error}") from error


def whole_pieces(
    source: Source, tokenizer: Tokenizer, content: ContentHash | None = None
) -> Iterator[str]:
    """The text of a source in parts that are cut where the tokenizer's ids do not depend on it."""
    for document in source.documents:
        yield from (text for text, _ in _parts(document, tokenizer, content))


def encode_source(
    source: Source, tokenizer: Tokenizer, content: ContentHash | None = None,
    special: bool = False,
) -> Iterator[np.ndarray]:
    """The tokens of a source, chunk after chunk, each uint16 and of shape (n,), n > 0.

    With `special`, special tokens in the text are tokens. content is updated with all bytes that
    were read. CorpusError for a tokenizer with more than 65,536 ids, and for an unknown character,
    with its document and position.
    """
    if tokenizer.vocab_size > MOST_IDS:
        raise CorpusError(
            f"tokens are stored as uint16: expected a tokenizer of at most {MOST_IDS:,} ids, got "
            f"{tokenizer.vocab_size:,} ({tokenizer.name})"
        )
    several = False
    for document in source.documents:
        for i, ids in enumerate(_encode_document(document, tokenizer, content, special)):
            if i == 0 and several:
                yield _separator(tokenizer, source)
            several = True
            yield ids.astype(np.uint16)


def _encode_document(
    document: Document, tokenizer: Tokenizer, content: ContentHash | None, special: bool
) -> Iterator[np.ndarray]:
    for text, position in _parts(document, tokenizer, content):
        yield _encode(tokenizer, text, document.name, position, special)


def _parts(
    document: Document, tokenizer: Tokenizer, content: ContentHash | None
) -> Iterator[tuple[str, int]]:
    """A document's text in parts, and where each begins; what follows the last safe cut waits."""
    waiting = ""
    position = 0
    for piece in read_text(document, content):
        waiting += piece
        cut = tokenizer.safe_cut(waiting)
        if cut == 0 and len(waiting) > LONGEST_STRETCH:
            cut = len(waiting)
        if cut:
            yield waiting[:cut], position
            waiting = waiting[cut:]
            position += cut
    if waiting:
        yield waiting, position


def encode_prompt(tokenizer: Tokenizer, text: str, special: bool = False) -> np.ndarray:
    """The ids of a text, shape (T,); with `special`, special tokens in it are tokens.

    ValueError for a tokenizer that has none, and as its `encode`.
    """
    if not special:
        return tokenizer.encode(text)
    if not isinstance(tokenizer, BPETokenizer):
        raise ValueError(f"special: the tokenizer {tokenizer.name} has no special tokens")
    return tokenizer.encode(text, special=True)


def _encode(
    tokenizer: Tokenizer, text: str, name: str, position: int, special: bool
) -> np.ndarray:
    """The ids of a part of a document that begins at character `position`."""
    try:
        return encode_prompt(tokenizer, text, special)
    except UnknownCharacter as error:
        unknown = UnknownCharacter(error.character, position + error.position, error.n_known)
        raise CorpusError(f"{name}: {unknown}") from None


def _separator(tokenizer: Tokenizer, source: Source) -> np.ndarray:
    """What separates two documents, uint16, shape (n,)."""
    if tokenizer.eot_id is not None:
        return np.array([tokenizer.eot_id], dtype=np.uint16)
    try:
        return tokenizer.encode(NEWLINE).astype(np.uint16)
    except UnknownCharacter:
        raise CorpusError(
            f"{source.name} has several documents, and the given tokenizer has no newline to "
            f"separate them"
        ) from None
