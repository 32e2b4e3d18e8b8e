"""A byte-level BPE vocabulary: which bytes merge, and which id each token has.

    vocabulary = Vocabulary.from_json(Path("tokenizer.json").read_text())
    vocabulary.to_json()                # the same again, as transformers reads it

Tokens are byte strings. A file writes a byte as a character: itself if it prints, else the next
unused code point from U+0100 on. A merge joins two tokens; merges are applied in the order in which
they were learned. An id need not follow that order, some ids may have no token, and added tokens
are found in the text before any merge.

tiktoken, which merges, knows tokens and no merges: it joins any two neighbours whose bytes are a
token. That is the same where every token is reached by its own merge, and `_check_reached` proves
it, for each token, along the one border inside it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Iterable, Mapping

from ..documents import parse_json
from ..suggest import shown

if TYPE_CHECKING:
    import tiktoken

# GPT-2's split into pieces. ++ is possessive: the same pieces, and no backtracking through each
# letter of a very long one
PATTERN = (
    r"'(?:[sdmt]|ll|re|ve)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++"
    r"|\s++$|\s+(?!\S)|\s+"
)
END_OF_TEXT = "<|endoftext|>"
MOST_IDS = 2**24

_PRINTING = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTING]
BYTES = [bytes([byte]) for byte in _PRINTING + _OTHERS]
"""The 256 single bytes, in GPT-2's order."""
BYTE_OF = {chr(byte): byte for byte in _PRINTING} | {
    chr(0x100 + n): byte for n, byte in enumerate(_OTHERS)}
_SIGN_OF = {byte: sign for sign, byte in BYTE_OF.items()}


def written(token: bytes) -> str:
    """A token as files write it: b" the" is "Ġthe"."""
    return "".join(_SIGN_OF[byte] for byte in token)


def unwritten(text: str) -> bytes:
    """The token that `written` wrote; UTF-8 of what it never writes."""
    try:
        return bytes(BYTE_OF[sign] for sign in text)
    except KeyError:
        return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Added:
    """A token that is found in the text before any merge."""

    text: str
    id: int
    special: bool = True
    """In a text that is not the program's own it is text like any other, unless asked for."""


@dataclass(frozen=True)
class Vocabulary:
    """Merges, ids and added tokens; raises ValueError for what tiktoken cannot do the same with.

    merges      the two halves of each, in the order in which they were learned
    ids         the id of each token; single bytes may be missing, which are then left out of a text
    end         the text of the added token that ends a document, "" for none
    """

    merges: tuple[tuple[bytes, bytes], ...]
    ids: Mapping[bytes, int]
    added: tuple[Added, ...] = ()
    end: str = ""
    size: int = field(init=False)
    """One more than the highest id."""

    def __post_init__(self) -> None:
        highest = max([*self.ids.values(), *(token.id for token in self.added)], default=-1)
        if not 0 <= highest < MOST_IDS:
            raise ValueError(f"expected ids from 0 to {MOST_IDS - 1:,}, got {highest:,}")
        object.__setattr__(self, "size", highest + 1)

    @functools.cached_property
    def ranks(self) -> dict[bytes, int]:
        """What tiktoken takes: the single bytes, then the tokens in the order of their merges."""
        ranks = {byte: rank for rank, byte in enumerate(BYTES)}
        halves = [(rank, rank) for rank in range(len(BYTES))]
        for left, right in self.merges:
            token = left + right
            if left not in ranks or right not in ranks or token not in self.ids:
                raise ValueError(f"the merge of {written(left)!r} and {written(right)!r} needs a "
                                 "token that the vocabulary lacks")
            # a second way to a token is never gone: the first was there before
            if token not in ranks:
                halves.append((ranks[left], ranks[right]))
                ranks[token] = len(ranks)
        if self is not gpt2():
            _check_reached(list(ranks), ranks, halves)
        return ranks

    @functools.cached_property
    def encoding(self) -> tiktoken.Encoding:
        """tiktoken's encoding, whose ids are ranks."""
        import tiktoken

        return tiktoken.Encoding(name="npgpt", pat_str=PATTERN, mergeable_ranks=self.ranks,
                                 special_tokens={})

    @functools.cached_property
    def tokens(self) -> list[bytes]:
        """The bytes of every id; b"" where an id has no token."""
        tokens = [b""] * self.size
        for token, i in self.ids.items():
            tokens[i] = token
        for each in self.added:
            tokens[each.id] = each.text.encode("utf-8")
        return tokens

    @property
    def end_id(self) -> int | None:
        """The id that ends a document."""
        return next((token.id for token in self.added if token.text == self.end), None)

    def to_json(self) -> str:
        """The content of tokenizer.json."""
        return self._json

    @functools.cached_property
    def _json(self) -> str:
        ids = {written(token): i for token, i in self.ids.items()}
        ids |= {token.text: token.id for token in self.added}
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                      "use_regex": True}
        return json.dumps({
            "version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [
                {"id": token.id, "content": token.text, "single_word": False, "lstrip": False,
                 "rstrip": False, "normalized": False, "special": token.special}
                for token in self.added],
            "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
            "decoder": byte_level,
            "model": {
                "type": "BPE", "dropout": None, "unk_token": None,
                "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                "byte_fallback": False, "ignore_merges": False,
                "vocab": dict(sorted(ids.items(), key=lambda item: item[1])),
                "merges": [f"{written(left)} {written(right)}" for left, right in self.merges],
            },
        }, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, end: str = "") -> Vocabulary:
        """From the content of tokenizer.json; raises ValueError for another kind of tokenizer.

        `end` is the text of the token that ends a document, if another file says it.
        """
        content = parse_json(text.encode(), "the tokenizer")
        _check_kind(content)
        model = content["model"]
        if not isinstance(model.get("vocab"), dict) or not isinstance(model.get("merges"), list):
            raise ValueError("expected vocab and merges in its model")
        listed = content.get("added_tokens") or []
        return cls.from_parts(model["vocab"], model["merges"], _added(listed), end)

    @classmethod
    def from_parts(
        cls, ids: Mapping[str, object], merges: Iterable[object], added: Iterable[Added],
        end: str = "",
    ) -> Vocabulary:
        """From vocab.json's mapping and merges as "left right" or [left, right]."""
        wrong = next((token for token, i in ids.items() if type(i) is not int or i < 0), None)
        if wrong is not None:
            raise ValueError(f"the id of {shown(wrong)} is not an integer of at least 0")
        added = tuple(added)
        texts = {token.text for token in added}
        plain = {unwritten(token): int(str(i)) for token, i in ids.items() if token not in texts}
        pairs = []
        for merge in merges:
            halves = merge.split(" ") if isinstance(merge, str) else merge
            if not isinstance(halves, list) or len(halves) != 2:
                raise ValueError(f"expected a merge of two tokens, got {shown(merge)}")
            pairs.append((unwritten(str(halves[0])), unwritten(str(halves[1]))))
        end = end if end in texts else END_OF_TEXT if END_OF_TEXT in texts else ""
        found = cls(tuple(pairs), plain, added, end)
        own = gpt2()
        return own if found == own else found


def _added(listed: object) -> list[Added]:
    if not isinstance(listed, list):
        raise ValueError(f"expected a list of added_tokens, got {shown(listed)}")
    result = []
    for token in listed:
        if not (isinstance(token, dict) and isinstance(token.get("content"), str)
                and token["content"] and type(token.get("id")) is int and token["id"] >= 0):
            raise ValueError(f"expected an added token with id and content, got {shown(token)}")
        for name in ("lstrip", "rstrip", "single_word"):
            if token.get(name):
                raise ValueError(f"the added token {shown(token['content'])} has {name}, which "
                                 "npgpt does not have")
        result.append(Added(token["content"], token["id"], bool(token.get("special"))))
    return result


def _check_kind(content: Mapping[str, object]) -> None:
    """Raise ValueError, naming what differs, unless a tokenizer.json is byte-level BPE as GPT-2's.
    """
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        kind = model.get("type") if isinstance(model, dict) else model
        raise ValueError(f"expected byte-level BPE, got {kind}")
    split = content.get("pre_tokenizer")
    kind = split.get("type") if isinstance(split, dict) else split
    if not isinstance(split, dict) or kind != "ByteLevel" or not split.get("use_regex", True):
        raise ValueError(f"expected the pre_tokenizer ByteLevel, got {kind}")
    given = {
        "normalizer": content.get("normalizer"), "add_prefix_space": split.get("add_prefix_space"),
        **{name: model.get(name) for name in (
            "dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback",
            "ignore_merges")},
    }
    wrong = [f"{name}={shown(value)}" for name, value in given.items() if value]
    if wrong:
        raise ValueError(f"it has {', '.join(wrong)}, which npgpt does not have")


def _check_reached(
    tokens: list[bytes], ranks: Mapping[bytes, int], halves: list[tuple[int, int]]
) -> None:
    """Raise ValueError unless merging by rank ends, for each token, with its own two halves.

    It does unless something merges across the border between them first; so both are taken apart
    along the border, the one that was made last first, and each pair that met there is looked up.
    """
    n_bytes = len(BYTES)
    for rank in range(n_bytes, len(tokens)):
        left, right = halves[rank]
        limit = rank
        while True:
            met = ranks.get(tokens[left] + tokens[right])
            if met is not None and met < limit:
                raise ValueError(
                    f"the token {written(tokens[rank])!r} is never reached: "
                    f"{written(tokens[met])!r} merges before; expected merges in the order in "
                    "which they were learned")
            if left < n_bytes and right < n_bytes:
                break
            if left > right:
                limit, left = left, halves[left][1]
            else:
                # equal pairs merge from the left: at the same rank, the right one comes later
                limit, right = right + 1, halves[right][0]


@functools.cache
def gpt2() -> Vocabulary:
    """GPT-2's own, from the merge table that this package carries."""
    import gzip
    from importlib.resources import files

    packed = files(__package__).joinpath("data", "vocab.bpe.gz").read_bytes()
    _version, *lines = gzip.decompress(packed).decode("utf-8").splitlines()
    merges = tuple((unwritten(left), unwritten(right))
                   for left, right in (line.split(" ") for line in lines))
    ids = {token: i for i, token in enumerate([*BYTES, *(a + b for a, b in merges)])}
    return Vocabulary(merges, ids, (Added(END_OF_TEXT, len(ids)),), END_OF_TEXT)
