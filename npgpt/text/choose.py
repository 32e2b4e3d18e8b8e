"""Tokenizers by name, and from the record in a checkpoint."""

from __future__ import annotations

import re
from typing import Mapping

from ..documents import parse_json
from ..ids import check_integer
from ..suggest import did_you_mean, shown
from .bpe import BPETokenizer
from .chars import CharTokenizer
from .learned import FEWEST_IDS, MOST_IDS
from .tokenizer import Tokenizer
from .vocabulary import Vocabulary

TOKENIZERS = ("char", "gpt2")
# a vocabulary of so many ids, learned from the text
LEARNED = re.compile(r"bpe:([+-]?[0-9]*)")
# what a record may have besides: a vocabulary that was learned or that a model brought
RECORDED = (*TOKENIZERS, "bpe")


def tokenizer_from_dict(record: Mapping[str, object]) -> Tokenizer:
    """The tokenizer that Tokenizer.to_dict described; ValueError for anything else."""
    if not isinstance(record, Mapping) or "name" not in record:
        raise ValueError(
            f"a tokenizer's record: expected a dict with a `name`, got {shown(record)}")
    name = check_name(record["name"], RECORDED)
    if name != "char":
        return _byte_level(record)
    characters = record.get("characters")
    if not isinstance(characters, str):
        raise ValueError(
            f"a char tokenizer's record: expected a str as `characters`, got {shown(characters)}"
        )
    return CharTokenizer(characters)


def _byte_level(record: Mapping[str, object]) -> Tokenizer:
    """GPT-2's tokenizer, or that of the tokenizer.json in the record."""
    text, size = record.get("tokenizer"), record.get("vocab_size", "")
    if not (isinstance(size, str) and re.fullmatch("[0-9]{0,9}", size)):
        raise ValueError(f"a record's vocab_size: expected digits, got {shown(size)}")
    vocabulary = None
    if record["name"] == "bpe":
        if not isinstance(text, str):
            raise ValueError("a bpe tokenizer's record: expected a tokenizer.json as `tokenizer`, "
                             f"got {shown(text)}")
        vocabulary = Vocabulary.from_json(text, str(record.get("end", "")))
    roles = parse_json(str(record.get("roles", "{}")).encode(), "a tokenizer's roles")
    if not all(isinstance(value, str) for value in roles.values()):
        raise ValueError(f"a tokenizer's roles: expected names and texts, got {shown(roles)}")
    return BPETokenizer(vocabulary, int(size) if size else None, roles)


def check_name(name: object, known: tuple[str, ...] = TOKENIZERS) -> str:
    """name itself, if it is a tokenizer's; ValueError otherwise."""
    if isinstance(name, str) and name in known:
        return name
    raise ValueError(
        f"unknown tokenizer {shown(name)}{did_you_mean(name, TOKENIZERS)}; "
        f"expected {', '.join(TOKENIZERS)} or bpe:1024 (learned from the text, with so many ids)"
    )


def learned_size(name: str) -> int | None:
    """The N of bpe:N, None for another name; raises ValueError if N does not fit."""
    found = LEARNED.fullmatch(name)
    if found is None:
        return None
    # longer than any that fits; int() takes long for a million digits
    if not found[1].strip("+-") or len(found[1]) > 9:
        raise ValueError(f"bpe:N: expected an integer from {FEWEST_IDS} to {MOST_IDS}, got "
                         f"{shown(found[1])}")
    return check_integer("bpe", int(found[1]), FEWEST_IDS, MOST_IDS)
