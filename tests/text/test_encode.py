"""Encoding in chunks gives the ids of the whole."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text import BPETokenizer, CharTokenizer, CorpusError, encode
from npgpt.text.encode import char_vocabulary, encode_source
from npgpt.text.sources import ContentHash, Source, content_hash

from .slow import slow_document

pytestmark = pytest.mark.smoke

BPE = BPETokenizer()
texts = st.one_of(
    st.text(st.sampled_from("ab1é中.'s \n\t\x1c\u2028😀"), max_size=60), st.text(max_size=40))


def source_of(*documents, block_bytes=100):
    return Source("made", tuple(
        slow_document(f"document {n}", text.encode(), block_bytes)
        for n, text in enumerate(documents)
    ))


def ids_of(source, tokenizer, content=None):
    chunks = list(encode_source(source, tokenizer, content))
    assert all(chunk.dtype == np.uint16 and chunk.ndim == 1 and len(chunk) for chunk in chunks)
    return [int(token) for chunk in chunks for token in chunk]


@given(texts, st.integers(1, 20))
def test_chunks_of_any_size_give_the_ids_of_the_whole_text(text, block_bytes):
    source = source_of(text, block_bytes=block_bytes)
    assert ids_of(source, BPE) == BPE.encode(text).tolist()
    if text:
        tokenizer = char_vocabulary(source)
        assert tokenizer == CharTokenizer.from_text(text)
        assert ids_of(source, tokenizer) == tokenizer.encode(text).tolist()


@given(st.lists(texts, max_size=4), st.integers(1, 20))
def test_documents_are_separated_and_empty_ones_left_out(documents, block_bytes):
    source = source_of(*documents, block_bytes=block_bytes)
    full = [document for document in documents if document]
    expected = [token for text in full for token in [*BPE.encode(text).tolist(), BPE.eot_id]][:-1]
    assert ids_of(source, BPE) == expected
    if full:
        tokenizer = char_vocabulary(source)
        assert set(tokenizer.characters) == set("\n".join(full))
        ids = ids_of(source, tokenizer)
        assert tokenizer.decode(ids) == "\n".join(full)


@given(texts, st.integers(1, 8), st.integers(1, 5))
def test_a_stretch_without_a_safe_cut_still_gives_its_text_back(text, block_bytes, stretch):
    with mock.patch.object(encode, "LONGEST_STRETCH", stretch):
        ids = ids_of(source_of(text, block_bytes=block_bytes), BPE)
    assert BPE.decode(ids) == text


def test_a_stretch_without_a_safe_cut_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(encode, "LONGEST_STRETCH", 100)
    chunks = encode_source(source_of("x" * 1000, block_bytes=10), BPE)
    assert max(len(BPE.decode(chunk)) for chunk in chunks) <= 110


def test_an_unknown_character_is_named_with_its_document_and_its_place_there():
    source = source_of("abab", "ba" * 50 + "c", block_bytes=7)
    with pytest.raises(CorpusError, match=r"document 1: character 'c' .* at position 100 "):
        ids_of(source, CharTokenizer("ab\n"))


def test_a_tokenizer_without_newline_cannot_join_documents():
    assert ids_of(source_of("ab"), CharTokenizer("ab")) == [0, 1]
    with pytest.raises(CorpusError, match="has no newline"):
        ids_of(source_of("ab", "ab"), CharTokenizer("ab"))


def test_more_characters_than_ids_is_an_error_that_counts_them():
    text = "".join(map(chr, range(0x10000, 0x20001)))
    with pytest.raises(CorpusError, match="made: .* 65,536 distinct characters, got 65,537"):
        char_vocabulary(source_of(text))


def test_a_tokenizer_with_too_many_ids_is_rejected():
    class Large(CharTokenizer):
        vocab_size = 65_537

    large = Large("ab")
    large.vocab_size = 65_537
    with pytest.raises(CorpusError, match="at most 65,536 ids, got 65,537"):
        ids_of(source_of("ab"), large)


def test_all_bytes_reach_the_hash():
    source = source_of("one", "", "two", block_bytes=2)
    content = ContentHash()
    ids_of(source, BPE, content)
    assert content.hexdigest() == content_hash(source).hexdigest()
