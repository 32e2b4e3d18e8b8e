"""Text that is decoded as its ids come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text import BPETokenizer, CharTokenizer, StreamDecoder

BPE = BPETokenizer()


@given(st.lists(st.integers(0, 50_256)))
def test_pieces_joined_are_the_whole_decoded(ids):
    decoder = StreamDecoder(BPE)
    pieces = [decoder.add(token) for token in ids]
    assert "".join(pieces) + decoder.flush() == BPE.decode(ids)


@given(st.text())
def test_valid_text_never_shows_a_replacement_character_on_its_way(text):
    decoder = StreamDecoder(BPE)
    shown = ""
    for token in BPE.encode(text):
        shown += decoder.add(token)
        assert text.startswith(shown)
    assert shown == text and decoder.flush() == ""


def test_bytes_within_a_character_are_held_back():
    ids = BPE.encode("😀").tolist()
    assert len(ids) > 1
    decoder = StreamDecoder(BPE)
    assert [decoder.add(token) for token in ids] == [""] * (len(ids) - 1) + ["😀"]


def test_flush_shows_what_never_became_a_character_and_starts_afresh():
    decoder = StreamDecoder(BPE)
    assert decoder.add(BPE.encode("😀")[0]) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""
    assert decoder.add(BPE.encode("a")[0]) == "a"


def test_characters_come_at_once():
    tokenizer = CharTokenizer.from_text("é😀")
    decoder = StreamDecoder(tokenizer)
    assert [decoder.add(token) for token in tokenizer.encode("😀é")] == ["😀", "é"]


def test_an_id_out_of_range_is_rejected():
    with pytest.raises(ValueError, match="50257 is outside the vocabulary"):
        StreamDecoder(BPE).add(50257)
