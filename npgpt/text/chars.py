"""The character tokenizer: one id for each distinct character of a text."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .tokenizer import Tokenizer, check_row, check_text

# a corpus stores its ids as uint16
MOST_IDS = 65_536


class UnknownCharacter(ValueError):
    """A character that is not in the tokenizer's vocabulary: which, and where in the text."""

    def __init__(self, character: str, position: int, n_known: int) -> None:
        self.character = character
        self.position = position
        self.n_known = n_known
        super().__init__(
            f"character {character!r} (U+{ord(character):04X}) at position {position} is not among "
            f"the {n_known} characters of this tokenizer"
        )


class CharTokenizer(Tokenizer):
    """An id is an index into `characters`, a str of distinct characters.

        >>> tokenizer = CharTokenizer.from_text("hello")
        >>> tokenizer.characters, tokenizer.encode("hole").tolist()
        ('ehlo', [1, 3, 2, 0])

    ValueError for no characters, more than 65,536, a repeated one, or a lone surrogate.
    """

    name = "char"

    def __init__(self, characters: str) -> None:
        check_text(characters)
        if not 0 < len(characters) <= MOST_IDS:
            raise ValueError(
                f"a character tokenizer: expected 1 to {MOST_IDS:,} distinct characters, "
                f"got {len(characters):,}; for more, use the tokenizer gpt2"
            )
        self.characters = characters
        self.vocab_size = len(characters)
        self._codes = _code_points(characters)
        # one entry beyond the largest code point, where encode sends every larger one: unknown
        self._ids = np.full(int(self._codes.max()) + 2, -1, dtype=np.int32)
        self._ids[self._codes] = np.arange(self.vocab_size)
        repeated = self._ids[self._codes] != np.arange(self.vocab_size)
        if repeated.any():
            twice = characters[int(repeated.argmax())]
            raise ValueError(f"a character tokenizer: {twice!r} is given twice")

    @classmethod
    def from_text(cls, text: str) -> CharTokenizer:
        """The tokenizer of a text's distinct characters, ordered by code point.

        Raises ValueError for an empty text, too many characters, and a lone surrogate.
        """
        return cls("".join(sorted(set(check_text(text)))))

    def to_dict(self) -> dict[str, str]:
        """Its name, and its characters in the order of their ids."""
        return {"name": self.name, "characters": self.characters}

    def encode(self, text: str) -> NDArray[np.int64]:
        """One id a character, shape (len(text),); UnknownCharacter for the first unknown one."""
        codes = _code_points(check_text(text))
        ids: NDArray[np.int32] = self._ids[np.minimum(codes, len(self._ids) - 1)]
        if (ids < 0).any():
            position = int((ids < 0).argmax())
            raise UnknownCharacter(text[position], position, self.vocab_size)
        return ids.astype(np.int64)

    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """The characters of ids as UTF-8; ValueError for ids outside the vocabulary."""
        codes = self._codes[check_row(ids, self.vocab_size)]
        return codes.tobytes().decode("utf-32-le").encode("utf-8")

    def safe_cut(self, text: str) -> int:
        """The length of text: a character's id does not depend on its neighbours."""
        return len(check_text(text))


def _code_points(text: str) -> NDArray[np.uint32]:
    """Unicode code points, shape (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
