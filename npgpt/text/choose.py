"""Tokenizers by name, and from the record in a checkpoint."""

from __future__ import annotations

from typing import Mapping

from ..suggest import did_you_mean, shown
from .bpe import BPETokenizer
from .chars import CharTokenizer
from .tokenizer import Tokenizer
from .vocabulary import Vocabulary

TOKENIZERS = ("char", "gpt2")
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
    text, size = record.get("tokenizer"), record.get("vocab_size")
    if record["name"] == "bpe" and not isinstance(text, str):
        raise ValueError(
            f"a bpe tokenizer's record: expected a tokenizer.json as `tokenizer`, got {shown(text)}")
    if size is not None and not (isinstance(size, str) and size.isdecimal() and len(size) < 10):
        raise ValueError(f"a tokenizer's record: expected digits as `vocab_size`, got {shown(size)}")
    vocabulary = Vocabulary.from_json(text, str(record.get("end", ""))) if isinstance(
        text, str) and record["name"] == "bpe" else None
    return BPETokenizer(vocabulary, None if size is None else int(size))


def check_name(name: object, known: tuple[str, ...] = TOKENIZERS) -> str:
    """name itself, if it is a tokenizer's; ValueError otherwise."""
    if isinstance(name, str) and name in known:
        return name
    raise ValueError(
        f"unknown tokenizer {shown(name)}{did_you_mean(name, TOKENIZERS)}; "
        f"expected {' or '.join(TOKENIZERS)}"
    )
