"""The face that every tokenizer shows, and the checks that they share."""

from __future__ import annotations

import hashlib
import json
import operator
from abc import ABC, abstractmethod
from typing import Any, Iterable

import numpy as np


class Tokenizer(ABC):
    """Text to whole numbers 0..vocab_size-1, and back.

    name        "gpt2" or "char"
    vocab_size  how many ids there are
    eot_id      the id that ends a text, or None for a tokenizer that has none
    """

    name: str
    vocab_size: int
    eot_id: int | None = None

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, shape (T,), int64. decode gives the text back exactly.

        ValueError for lone surrogates, and for a character that the tokenizer does not know.
        """

    @abstractmethod
    def decode_bytes(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The UTF-8 bytes that ids stand for; ids of a cut text may end within a character."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, ready for JSON; tokenizer_from_dict gives the tokenizer back."""

    @abstractmethod
    def safe_cut(self, text: str) -> int:
        """The last place k where text may be cut without changing an id, whatever follows text.

        encode(text[:k]) and encode(text[k:] + rest), joined, are encode(text + rest) whatever rest.
        0 when there is no such place.
        """

    def decode(self, ids: Iterable[int] | np.ndarray) -> str:
        """The text of ids, shape (T,). Bytes that are not UTF-8 become U+FFFD.

        ValueError for ids that are not whole numbers 0..vocab_size-1.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    @property
    def fingerprint(self) -> str:
        """sha256 of to_dict: two tokenizers with one fingerprint give the same ids."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size})"


def check_text(text: object) -> str:
    """The text itself, if it is a str without lone surrogates; ValueError otherwise."""
    if not isinstance(text, str):
        raise ValueError(f"text must be a str, given {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text holds a lone surrogate, {text[error.start]!r}, at position {error.start}: it is "
            f"half of a character; read the text as UTF-8, or replace it"
        ) from None
    return text


def check_ids(ids: Iterable[int] | np.ndarray, vocab_size: int) -> np.ndarray:
    """ids as int64, shape (T,); ValueError unless each is a whole number 0..vocab_size-1.

    NumPy alone would read the last row of a table for -1, and cut 2.7 to 2 without a word.
    """
    fits = f"what fits: whole numbers 0..{vocab_size - 1}"
    if not isinstance(ids, np.ndarray):
        return _check_sequence(ids, vocab_size, fits)
    if ids.ndim != 1:
        raise ValueError(f"token ids must be a row, shape (T,), given shape {ids.shape}; {fits}")
    if ids.dtype.kind not in "iu":
        raise ValueError(f"token ids must be integers, given an array of {ids.dtype}; {fits}")
    outside = (ids < 0) | (ids >= vocab_size)
    if outside.any():
        position = int(outside.argmax())
        raise ValueError(f"token id {ids[position]} at position {position} does not exist; {fits}")
    return ids.astype(np.int64)


def _check_sequence(ids: Iterable[int], vocab_size: int, fits: str) -> np.ndarray:
    """check_ids for anything that is not an array: every element is looked at as it was given."""
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise ValueError(f"token ids must be a sequence, given {ids!r:.80}; {fits}")
    checked = []
    for position, given in enumerate(ids):
        try:
            # a bool is an int to Python, and no token id to anybody
            whole = None if isinstance(given, (bool, np.bool_)) else operator.index(given)
        except TypeError:
            whole = None
        if whole is None:
            raise ValueError(
                f"token id {given!r:.80} at position {position} is a {type(given).__name__}; {fits}"
            )
        if not 0 <= whole < vocab_size:
            raise ValueError(f"token id {whole} at position {position} does not exist; {fits}")
        checked.append(whole)
    return np.array(checked, dtype=np.int64)
