"""Tokenizers by name, and from the record in a checkpoint."""

from __future__ import annotations

from typing import Mapping

from ..suggest import did_you_mean, shown
from .bpe import BPETokenizer
from .chars import CharTokenizer
from .tokenizer import Tokenizer

TOKENIZERS = ("char", "gpt2")


def tokenizer_from_dict(record: Mapping[str, object]) -> Tokenizer:
    """The tokenizer that Tokenizer.to_dict described; ValueError for anything else."""
    if not isinstance(record, Mapping) or "name" not in record:
        raise ValueError(
            f"a tokenizer's record: expected a dict with a `name`, got {shown(record)}")
    if check_name(record["name"]) == "gpt2":
        return BPETokenizer()
    characters = record.get("characters")
    if not isinstance(characters, str):
        raise ValueError(
            f"a char tokenizer's record: expected a str as `characters`, got {shown(characters)}"
        )
    return CharTokenizer(characters)


def check_name(name: object) -> str:
    """name itself, if it is a tokenizer's; ValueError otherwise."""
    if isinstance(name, str) and name in TOKENIZERS:
        return name
    raise ValueError(
        f"unknown tokenizer {shown(name)}{did_you_mean(name, TOKENIZERS)}; "
        f"expected {' or '.join(TOKENIZERS)}"
    )
