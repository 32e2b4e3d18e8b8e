"""The character tokenizer."""

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text import CharTokenizer, chars, tokenizer_from_dict


def test_ids_follow_the_order_of_the_code_points():
    tokenizer = CharTokenizer.from_text("b\na😀é")
    assert tokenizer.characters == "\nabé😀"
    assert tokenizer.encode("😀a\n").tolist() == [4, 1, 0]
    assert (tokenizer.vocab_size, tokenizer.eot_id, tokenizer.name) == (5, None, "char")


@pytest.mark.parametrize("text, known, message", [
    ("abXa", "ab", r"'X' \(U\+0058\) at position 2 is not among the 2"),
    ("a\U0001f600", "ab", r"U\+1F600\) at position 1"),
    ("\x00", "ab", r"U\+0000\) at position 0"),
    ("aab", "b\U0010ffff", r"'a' \(U\+0061\) at position 0"),
])
def test_an_unknown_character_is_named_with_its_position(text, known, message):
    with pytest.raises(ValueError, match=message):
        CharTokenizer(known).encode(text)


@given(st.text(min_size=1), st.text())
def test_exactly_the_texts_of_known_characters_are_encoded(known, text):
    tokenizer = CharTokenizer.from_text(known)
    if set(text) <= set(known):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    else:
        with pytest.raises(ValueError, match="not among"):
            tokenizer.encode(text)


@given(st.text(min_size=1))
def test_a_tokenizer_survives_json(text):
    tokenizer = CharTokenizer.from_text(text)
    record = json.loads(json.dumps(tokenizer.to_dict()))
    assert tokenizer_from_dict(record) == tokenizer


def test_given_characters_stay_in_their_order():
    assert CharTokenizer("ba").encode("ab").tolist() == [1, 0]


@pytest.mark.parametrize("characters, message", [
    ("", "1 to 65,536 distinct characters, got 0"),
    ("aba", "'a' is given twice"),
    ("a\udfff", "lone surrogate"),
    ("".join(map(chr, range(0x10000, 0x20001))), "got 65,537"),
])
def test_an_invalid_vocabulary_is_rejected(characters, message):
    with pytest.raises(ValueError, match=message):
        CharTokenizer(characters)


def test_the_largest_vocabulary_works():
    characters = "".join(map(chr, range(0x10000, 0x20000)))
    tokenizer = CharTokenizer.from_text(characters)
    assert tokenizer.encode(characters[-1]).tolist() == [65_535]
    assert tokenizer.decode([65_535]) == characters[-1]


def test_the_example_in_the_docstring_runs():
    result = doctest.testmod(chars)
    assert result.attempted and not result.failed
