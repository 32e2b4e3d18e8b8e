"""Tokenizers by name, and from what a checkpoint kept of them."""

from __future__ import annotations

import difflib
from typing import Any, Mapping

from .bpe import BPETokenizer
from .chars import CharTokenizer
from .tokenizer import Tokenizer

TOKENIZERS = ("char", "gpt2")


def tokenizer_for(name: str, text: str) -> Tokenizer:
    """The tokenizer of that name; "char" takes its vocabulary from text, "gpt2" needs none.

    ValueError for another name.
    """
    if check_name(name) == "gpt2":
        return BPETokenizer()
    return CharTokenizer.from_text(text)


def tokenizer_from_dict(record: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that Tokenizer.to_dict described; ValueError for anything else."""
    if not isinstance(record, Mapping) or "name" not in record:
        raise ValueError(f"a tokenizer's record is a dict with a `name`; given {record!r:.80}")
    if check_name(record["name"]) == "gpt2":
        return BPETokenizer()
    return CharTokenizer.from_dict(record)


def check_name(name: object) -> str:
    """The name itself, if a tokenizer bears it; ValueError otherwise, with the nearest."""
    if name in TOKENIZERS:
        return str(name)
    near = difflib.get_close_matches(str(name), TOKENIZERS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"no tokenizer {name!r:.80}; there are {', '.join(TOKENIZERS)}{hint}")
