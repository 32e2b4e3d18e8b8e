"""The interface of every tokenizer, and the checks that they share."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ids import check_ids, check_integers


class Tokenizer(ABC):
    """Text to integers in [0, vocab_size), and back.

    name        "gpt2" or "char"
    vocab_size  how many ids there are
    eot_id      the id that ends a text, None if there is none
    """

    name: str
    vocab_size: int
    eot_id: int | None = None

    @abstractmethod
    def encode(self, text: str) -> NDArray[np.int64]:
        """The ids of a text, shape (T,); decode gives the text back exactly.

        ValueError for lone surrogates, and for a character that is not in the vocabulary.
        """

    @abstractmethod
    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """The UTF-8 bytes of ids, shape (T,); they may end within a character.

        ValueError for ids that are not integers in [0, vocab_size).
        """

    @abstractmethod
    def to_dict(self) -> dict[str, str]:
        """The record that a checkpoint holds, as JSON; tokenizer_from_dict is its inverse."""

    @abstractmethod
    def safe_cut(self, text: str) -> int:
        """The last position where text may be cut without changing an id; 0 if there is none.

        encode(text[:k]) and encode(text[k:] + rest) join to encode(text + rest) for every rest.
        """

    def decode(self, ids: ArrayLike) -> str:
        """The text of ids, shape (T,); bytes that are not UTF-8 become U+FFFD.

        ValueError for ids that are not integers in [0, vocab_size).
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    @property
    def token_bytes(self) -> NDArray[np.int64]:
        """Bytes of text that each id stands for, shape (vocab_size,); 0 for the end of a text."""
        sizes = [len(self.decode_bytes([i])) for i in range(self.vocab_size)]
        if self.eot_id is not None:
            sizes[self.eot_id] = 0
        return np.array(sizes, np.int64)

    @property
    def first_id(self) -> int:
        """Where a text without a prompt starts: the end-of-text id, else a newline's, else 0."""
        if self.eot_id is not None:
            return self.eot_id
        try:
            return int(self.encode("\n")[0])
        except ValueError:
            return 0

    @property
    def fingerprint(self) -> str:
        """sha256 of to_dict without roles: those with equal fingerprints give the same ids."""
        record = {key: value for key, value in self.to_dict().items() if key != "roles"}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size})"


def check_text(text: object) -> str:
    """text itself, if it is a str without lone surrogates; ValueError otherwise."""
    if not isinstance(text, str):
        raise ValueError(f"text: expected a str, got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text holds a lone surrogate, {text[error.start]!r}, at position {error.start}: half "
            f"of a character; read the text as UTF-8, or replace it"
        ) from None
    return text


def check_row(ids: ArrayLike, vocab_size: int) -> NDArray[np.int64]:
    """ids as int64, shape (T,), perhaps empty; ValueError unless they are in [0, vocab_size)."""
    array = check_integers(ids, "token ids")
    if array.ndim != 1:
        raise ValueError(f"token ids: expected shape (T,), got {array.shape}")
    return check_ids(array, vocab_size) if array.size else array.astype(np.int64)
