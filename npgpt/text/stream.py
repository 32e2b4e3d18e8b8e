"""Decoding ids to text as they arrive."""

from __future__ import annotations

import codecs

from ..checked import checked
from .tokenizer import Tokenizer


class StreamDecoder:
    """Takes ids one by one and returns the text that is complete so far.

    A token may end within a character, whose bytes then wait for the rest. All pieces and the final
    flush, joined, are tokenizer.decode(ids).

        decoder = StreamDecoder(tokenizer)
        for token_id in ids:
            print(decoder.add(token_id), end="")
        print(decoder.flush())
    """

    @checked
    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token_id: int) -> str:
        """The text that this id completes, perhaps ""; ValueError for an id out of range."""
        return self._decoder.decode(self.tokenizer.decode_bytes([token_id]))

    def flush(self) -> str:
        """The bytes that still wait, as U+FFFD; the decoder starts afresh."""
        return self._decoder.decode(b"", final=True)
