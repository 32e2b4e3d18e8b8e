"""The character tokenizer: one id for each distinct character of a text."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

import numpy as np

from .tokenizer import Tokenizer, check_ids, check_text

# ids of a corpus are kept as uint16
MOST_CHARACTERS = 65_536


class UnknownCharacter(ValueError):
    """A character that the tokenizer's vocabulary lacks: which, and where in the text."""

    def __init__(self, character: str, position: int, n_known: int) -> None:
        self.character = character
        self.position = position
        self.n_known = n_known
        super().__init__(
            f"character {character!r} (U+{ord(character):04X}) at position {position} is not among "
            f"the {n_known} characters that this tokenizer knows"
        )


class CharTokenizer(Tokenizer):
    """ids are places in `characters`, a str of distinct characters.

        >>> tokenizer = CharTokenizer.from_text("hello")
        >>> tokenizer.characters, tokenizer.encode("hole").tolist()
        ('ehlo', [1, 3, 2, 0])

    ValueError for no characters, the same one twice, more than 65,536, or lone surrogates.
    """

    name = "char"

    def __init__(self, characters: str) -> None:
        check_text(characters)
        if not 0 < len(characters) <= MOST_CHARACTERS:
            raise ValueError(
                f"a character tokenizer holds 1 to {MOST_CHARACTERS:,} distinct characters, "
                f"given {len(characters):,}; for more, use the tokenizer gpt2"
            )
        self.characters = characters
        self.vocab_size = len(characters)
        self._codes = _code_points(characters)
        # one row more than the largest code point: every larger one is sent there, and is unknown
        self._ids = np.full(int(self._codes.max()) + 2, -1, dtype=np.int32)
        self._ids[self._codes] = np.arange(self.vocab_size)
        ids = self._ids[self._codes]
        if (ids != np.arange(self.vocab_size)).any():
            twice = characters[int((ids != np.arange(self.vocab_size)).argmax())]
            raise ValueError(f"character {twice!r} stands twice among a tokenizer's characters")

    @classmethod
    def from_text(cls, text: str) -> CharTokenizer:
        """The tokenizer of a text's distinct characters, in the order of their code points."""
        return cls.from_pieces([check_text(text)])

    @classmethod
    def from_pieces(cls, pieces: Iterable[str]) -> CharTokenizer:
        """As from_text, for a text that comes piece by piece and need not fit the memory."""
        seen: set[str] = set()
        for piece in pieces:
            seen.update(piece)
        return cls("".join(sorted(seen)))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> CharTokenizer:
        """The tokenizer that to_dict described; ValueError for a record without characters."""
        characters = record.get("characters")
        if not isinstance(characters, str):
            raise ValueError(
                f"a char tokenizer's record needs `characters`, a str; given {characters!r:.80}"
            )
        return cls(characters)

    def to_dict(self) -> dict[str, Any]:
        """Its name and its characters in the order of their ids."""
        return {"name": self.name, "characters": self.characters}

    def encode(self, text: str) -> np.ndarray:
        """One id a character, shape (len(text),), int64; UnknownCharacter for the first unknown."""
        codes = _code_points(check_text(text))
        ids = self._ids[np.minimum(codes, len(self._ids) - 1)]
        if (ids < 0).any():
            position = int((ids < 0).argmax())
            raise UnknownCharacter(text[position], position, self.vocab_size)
        return ids.astype(np.int64)

    def decode_bytes(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The characters of ids as UTF-8."""
        codes = self._codes[check_ids(ids, self.vocab_size)]
        return codes.tobytes().decode("utf-32-le").encode("utf-8")

    def safe_cut(self, text: str) -> int:
        """The whole length: a character's id does not depend on its neighbours."""
        return len(text)


def _code_points(text: str) -> np.ndarray:
    """Unicode code points, shape (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
