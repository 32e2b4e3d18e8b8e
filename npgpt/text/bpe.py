"""Byte-level BPE, GPT-2's way to tokens: its own table, that of another model, or one learned here.

A pattern splits text into words, numbers, runs of other signs and runs of white space, each with
the one space before it. Within each piece, the neighbouring pair of byte strings that comes first
in the merge table is merged, again and again, until none is in the table. tiktoken does both.
GPT-2's table is read from the package: no network, no cache folder, no environment variable.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2, and
the files of GPT-2 itself (data/GPT2-LICENSE.txt).
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checked import checked
from . import vocabulary as tables
from .tokenizer import Tokenizer, check_row, check_text
from .vocabulary import END_OF_TEXT, PATTERN, Vocabulary

if TYPE_CHECKING:
    import tiktoken

__all__ = ["BPETokenizer", "END_OF_TEXT", "PATTERN", "gpt2_encoding", "mergeable_ranks"]

N_RANKS = 50_256

# Unicode's White_Space, which is what \s means to tiktoken; Python's \s also takes U+001C..U+001F
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# tiktoken panics on a run of about a million before a word; far shorter ones are encoded alone.
# No look-ahead, and a look-behind: the search must not start again from each character of a run
_LONG = 10_000
_LONG_SPACE = re.compile(rf"(?<![{_SPACE}])[{_SPACE}]{{{_LONG},}}")
_WHITE = re.compile(rf"[{_SPACE}]")
# up to the last character that is not white space to anybody and that a space or newline follows
_LAST_WORD_END = re.compile(r".*\S(?=[ \n])", re.DOTALL)


class BPETokenizer(Tokenizer):
    """GPT-2's tokenizer, or one with another vocabulary.

        >>> BPETokenizer().encode("Every effort moves you").tolist()
        [6109, 3626, 6100, 345]

    GPT-2's has 50,256 byte strings and the end of a text, 50256. `vocab_size` is the number of rows
    of a model's token table, which may be larger: ids without a token decode to nothing.
    `roles` are what transformers calls some of its tokens, such as pad_token, for an export.
    tiktoken is imported when the first text is encoded or decoded.
    """

    @checked
    def __init__(
        self, vocabulary: Vocabulary | None = None, vocab_size: int | None = None,
        roles: Mapping[str, str] = {},
    ) -> None:
        self._vocabulary = vocabulary
        self.roles = dict(roles)
        size, own = N_RANKS + 1, vocabulary is None
        if vocabulary is not None:
            size, own = vocabulary.size, vocabulary is tables.gpt2()
        self.name = "gpt2" if own else "bpe"
        self.eot_id = N_RANKS if vocabulary is None else vocabulary.end_id
        self.vocab_size = size if vocab_size is None else vocab_size
        if self.vocab_size < size:
            raise ValueError(f"a tokenizer of {size:,} ids does not fit a vocabulary of "
                             f"{self.vocab_size:,}")
        self._padding = self.vocab_size - size

    @property
    def vocabulary(self) -> Vocabulary:
        """Its merges, ids and added tokens."""
        return tables.gpt2() if self._vocabulary is None else self._vocabulary

    @checked
    def encode(self, text: str, *, special: bool = False) -> NDArray[np.int64]:
        """The ids of a text, shape (T,); ValueError for lone surrogates.

        "<|endoftext|>" and other special tokens in the text are text like any other; with
        special=True each is its own id. Bytes that the vocabulary lacks are left out.
        """
        check_text(text)
        added = self._patterns[bool(special)]
        if added is None:
            return self._encode_plain(text)
        parts, ids, start = [], {each.text: each.id for each in self.vocabulary.added}, 0
        for match in added.finditer(text):
            parts += [self._encode_plain(text[start:match.start()]), [ids[match[0]]]]
            start = match.end()
        return np.concatenate([*parts, self._encode_plain(text[start:])]).astype(np.int64)

    def _encode_plain(self, text: str) -> NDArray[np.int64]:
        ranks = _ranks_of(text, self.vocabulary.encoding)
        if self._ids is None:
            return ranks
        ids = self._ids[ranks]
        return ids[ids >= 0]

    @functools.cached_property
    def _ids(self) -> NDArray[np.int64] | None:
        """The id of each rank, -1 for none; None if ids are ranks."""
        ids = self.vocabulary.ids
        of_rank = np.array([ids.get(token, -1) for token in self.vocabulary.ranks], np.int64)
        return None if np.array_equal(of_rank, np.arange(len(of_rank))) else of_rank

    @functools.cached_property
    def _patterns(self) -> tuple[re.Pattern[str] | None, ...]:
        """Find the added tokens of a text, without the special ones and with them."""
        added = self.vocabulary.added
        return (_any_of([token.text for token in added if not token.special]),
                _any_of([token.text for token in added]))

    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """The byte strings of ids, joined; the end of a text gives b"<|endoftext|>".

        ValueError for ids outside the vocabulary.
        """
        tokens, size = self.vocabulary.tokens, self.vocabulary.size
        return b"".join(tokens[i] for i in check_row(ids, self.vocab_size).tolist() if i < size)

    @property
    def token_bytes(self) -> NDArray[np.int64]:
        """Bytes of text that each id stands for, shape (vocab_size,); 0 for special tokens."""
        sizes = np.zeros(self.vocab_size, np.int64)
        sizes[:self.vocabulary.size] = [len(token) for token in self.vocabulary.tokens]
        sizes[[token.id for token in self.vocabulary.added if token.special]] = 0
        return sizes

    def to_dict(self) -> dict[str, str]:
        """Its name, and unless it is GPT-2's, the content of its tokenizer.json."""
        record = {"name": self.name}
        if self.name != "gpt2":
            record |= {"tokenizer": self.vocabulary.to_json(), "end": self.vocabulary.end}
        if self.roles:
            record["roles"] = json.dumps(self.roles)
        return record | ({"vocab_size": str(self.vocab_size)} if self._padding else {})

    def safe_cut(self, text: str) -> int:
        """Before the last space or newline that follows a character other than white space.

        No piece of GPT-2's pattern has white space after another character, so a piece ends there
        whatever follows. After white space that need not be so ("a", two newlines, "b").
        """
        match = _LAST_WORD_END.match(check_text(text))
        cut = match.end() if match else 0
        for token in self.vocabulary.added:
            # one with white space inside may begin before the cut and end behind it
            for k in range(1, len(token.text) if _WHITE.search(token.text) else 0):
                if text.endswith(token.text[:k], 0, cut):
                    return self.safe_cut(text[:cut - k])
        return cut


def _any_of(texts: list[str]) -> re.Pattern[str] | None:
    """Finds any of the texts, the longest of several at one place; None for no text."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if texts else None


def _ranks_of(text: str, encoding: tiktoken.Encoding) -> NDArray[np.int64]:
    """tiktoken's ids of a text without lone surrogates, shape (T,).

    A very long run of white space is encoded alone. The pattern makes one piece of it, without its
    last character if a word follows, so that cutting the text around that piece changes no id.
    """
    cuts = [0]
    if _may_have_long_space(text):
        for run in _LONG_SPACE.finditer(text):
            cuts += [run.start(), run.end() - (run.end() < len(text))]
    # encode_to_numpy looks for special tokens, which takes longer than a list of integers does
    parts = [np.array(encoding.encode_ordinary(text[start:stop]), np.int64)
             for start, stop in zip(cuts, [*cuts[1:], len(text)])]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _may_have_long_space(text: str) -> bool:
    """False for a text without a very long run, as nearly all are; a search takes far longer.

    Wherever such a run begins, it covers what follows the next multiple of half its length.
    """
    step = _LONG // 2
    return any(text[i:i + min(step, 64)].isspace() for i in range(0, len(text), step))


def gpt2_encoding() -> tiktoken.Encoding:
    """tiktoken's encoding for GPT-2's table, built once per process."""
    return tables.gpt2().encoding


def mergeable_ranks() -> dict[bytes, int]:
    """Byte string to rank, 50,256 of them: the 256 single bytes, then the merges in their order."""
    return dict(tables.gpt2().ranks)
