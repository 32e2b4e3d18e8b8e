"""GPT-2's byte-pair encoding, from the merge table that this package carries.

A pattern splits text into words, numbers, runs of other signs and runs of white space, each with
the one space before it. Within each piece, the neighbouring pair of byte strings that comes first
in the merge table is merged, again and again, until none is in the table. tiktoken does both. The
table is read from the package: no network, no cache folder, no environment variable.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2, and
the files of GPT-2 itself (data/GPT2-LICENSE.txt).
"""

from __future__ import annotations

import functools
import gzip
import re
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checked import checked
from .tokenizer import Tokenizer, check_row, check_text

if TYPE_CHECKING:
    import tiktoken

END_OF_TEXT = "<|endoftext|>"
N_RANKS = 50_256

# GPT-2's split into pieces. ++ is possessive: the same pieces, and no backtracking through each
# letter of a very long one
PATTERN = (
    r"'(?:[sdmt]|ll|re|ve)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++"
    r"|\s++$|\s+(?!\S)|\s+"
)

# Unicode's White_Space, which is what \s means to tiktoken; Python's \s also takes U+001C..U+001F
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# tiktoken panics on a run of about a million before a word; far shorter ones are encoded alone.
# No look-ahead, and a look-behind: the search must not start again from each character of a run
_LONG_SPACE = re.compile(rf"(?<![{_SPACE}])[{_SPACE}]{{10000,}}")
# up to the last character that is not white space to anybody and that a space or newline follows
_LAST_WORD_END = re.compile(r".*\S(?=[ \n])", re.DOTALL)


class BPETokenizer(Tokenizer):
    """GPT-2's tokenizer: 50,256 byte strings and the end of a text, 50256.

        >>> BPETokenizer().encode("Every effort moves you").tolist()
        [6109, 3626, 6100, 345]

    tiktoken is imported when the first text is encoded or decoded.
    """

    name = "gpt2"
    vocab_size = N_RANKS + 1
    eot_id = N_RANKS

    @checked
    def encode(self, text: str, *, special: bool = False) -> NDArray[np.int64]:
        """The ids of a text, shape (T,); ValueError for lone surrogates.

        "<|endoftext|>" in the text is text like any other; with special=True it is id 50256.
        """
        check_text(text)
        ids: list[int] = []
        for part in text.split(END_OF_TEXT) if special else [text]:
            ids += [*_encode_plain(part), self.eot_id]
        return np.array(ids[:-1], dtype=np.int64)

    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """The byte strings of ids, joined; 50256 gives b"<|endoftext|>".

        ValueError for ids outside the vocabulary.
        """
        return gpt2_encoding().decode_bytes(check_row(ids, self.vocab_size).tolist())

    @property
    def token_bytes(self) -> NDArray[np.int64]:
        """Bytes of text that each id stands for, shape (vocab_size,); 0 for the end of a text."""
        return np.array([*map(len, mergeable_ranks()), 0], np.int64)

    def to_dict(self) -> dict[str, str]:
        """Its name alone: GPT-2 has one merge table."""
        return {"name": self.name}

    def safe_cut(self, text: str) -> int:
        """Before the last space or newline that follows a character other than white space.

        No piece of GPT-2's pattern has white space after another character, so a piece ends there
        whatever follows. After white space that need not be so ("a", two newlines, "b").
        """
        match = _LAST_WORD_END.match(check_text(text))
        return match.end() if match else 0


def _encode_plain(text: str) -> list[int]:
    """The ids of a text without lone surrogates.

    A very long run of white space is encoded alone. The pattern makes one piece of it, without its
    last character if a word follows, so that cutting the text around that piece changes no id.
    """
    encoding = gpt2_encoding()
    ids: list[int] = []
    start = 0
    for run in _LONG_SPACE.finditer(text):
        end = run.end() - (run.end() < len(text))
        ids += encoding.encode_ordinary(text[start : run.start()])
        ids += encoding.encode_ordinary(text[run.start() : end])
        start = end
    return ids + encoding.encode_ordinary(text[start:])


@functools.cache
def gpt2_encoding() -> tiktoken.Encoding:
    """tiktoken's encoding, built once per process from the merge table in the package."""
    import tiktoken

    return tiktoken.Encoding(
        name="gpt2",
        pat_str=PATTERN,
        mergeable_ranks=mergeable_ranks(),
        special_tokens={END_OF_TEXT: N_RANKS},
        explicit_n_vocab=N_RANKS + 1,
    )


def mergeable_ranks() -> dict[bytes, int]:
    """Byte string to rank, 50,256 of them: the 256 single bytes, then the merges in their order.

    The table writes a byte as a character: itself if it prints, else the next unused code point
    from U+0100 on. The ranks of single bytes follow the same order.
    """
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    byte_of = {chr(byte): byte for byte in printing}
    byte_of |= {chr(0x100 + n): byte for n, byte in enumerate(others)}

    ranks = {bytes([byte]): rank for rank, byte in enumerate(printing + others)}
    packed = files(__package__).joinpath("data", "vocab.bpe.gz").read_bytes()
    _version, *merges = gzip.decompress(packed).decode("utf-8").splitlines()
    for merge in merges:
        left, right = (bytes(byte_of[sign] for sign in half) for half in merge.split(" "))
        ranks[left + right] = len(ranks)
    return ranks
