"""Tokenizers by name and from records."""

import pytest

from npgpt.text import BPETokenizer, CharTokenizer, tokenizer_from_dict


@pytest.mark.parametrize("tokenizer", [BPETokenizer(), CharTokenizer("ba\n")], ids=repr)
def test_a_record_gives_its_tokenizer_back(tokenizer):
    assert tokenizer_from_dict(tokenizer.to_dict()) == tokenizer


@pytest.mark.parametrize("name, message", [
    ("gtp2", r"tokenizer 'gtp2' \(did you mean 'gpt2'\?\); expected char, gpt2 or bpe:1024"),
    ("chars", "did you mean 'char'"),
    ("zzz", "unknown tokenizer 'zzz'; expected char, gpt2 or bpe:1024"),
    (None, "unknown tokenizer None"),
    (["gpt2"], r"unknown tokenizer \['gpt2'\]"),
])
def test_an_unknown_name_is_rejected_with_the_nearest(name, message):
    with pytest.raises(ValueError, match=message):
        tokenizer_from_dict({"name": name})


@pytest.mark.parametrize("record", [
    None, "gpt2", [], {}, {"characters": "ab"}, {"name": "char"}, {"name": "char", "characters": 3},
    {"name": "char", "characters": ["a"]}, {"name": "char", "characters": ""},
    {"name": "char", "characters": "aa"},
])
def test_an_invalid_record_is_rejected(record):
    with pytest.raises(ValueError, match="record|character"):
        tokenizer_from_dict(record)
