"""Tokenizers by name and from records."""

import pytest

from npgpt.text import BPETokenizer, CharTokenizer, load_corpus, tokenizer_from_dict
from npgpt.text.choose import learned_size


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


@pytest.mark.parametrize("size", ["100000000", "-3", "", "256", "9" * 5000])
def test_a_size_to_learn_that_does_not_fit_gets_the_range(size):
    with pytest.raises(ValueError, match="257.* 65,?536"):
        learned_size(f"bpe:{size}")


def test_a_char_tokenizer_has_no_special_tokens(tmp_path):
    (tmp_path / "t.txt").write_text("a")
    with pytest.raises(ValueError, match="special: the tokenizer char has no special tokens"):
        load_corpus(tmp_path / "t.txt", "char", special=True)
