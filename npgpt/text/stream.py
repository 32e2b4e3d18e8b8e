"""Turning ids into text while they arrive."""

from __future__ import annotations

import codecs

from .tokenizer import Tokenizer


class StreamDecoder:
    """Takes ids one by one and gives the text that is certain so far.

    A token may end within a character: those bytes are held back until the rest comes. All pieces
    and the final flush, joined, are tokenizer.decode(ids).

        decoder = StreamDecoder(tokenizer)
        for token_id in ids:
            print(decoder.add(token_id), end="")
        print(decoder.flush())
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token_id: int) -> str:
        """The text that this id completes, perhaps none; ValueError for an id that is none."""
        return self._decoder.decode(self.tokenizer.decode_bytes([token_id]))

    def flush(self) -> str:
        """What is held back, as U+FFFD, and a fresh start."""
        return self._decoder.decode(b"", final=True)
