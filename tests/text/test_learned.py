"""Learning merges: the definition written out, the same vocabulary in every corner."""

from __future__ import annotations

from collections import Counter

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text import BPETokenizer, load_corpus, tokenizer_from_dict
from npgpt.text.learned import count_pieces, learn_merges, learn_vocabulary, merged
from npgpt.text.vocabulary import PATTERN, Vocabulary

TEXT = "low low low low low lower lower newest newest newest newest newest newest widest widest "


def by_definition(pieces: Counter[bytes], n_merges: int) -> list[tuple[bytes, bytes]]:
    """Count all pairs anew for every merge."""
    parts = {piece: [bytes([byte]) for byte in piece] for piece in pieces}
    merges = []
    for _ in range(n_merges):
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for piece, n in pieces.items():
            for pair in zip(parts[piece], parts[piece][1:]):
                counts[pair] += n
        if not counts or max(counts.values()) < 2:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        parts = {piece: merged(tokens, best)[0] for piece, tokens in parts.items()}
    return merges


words = st.lists(st.text(st.sampled_from("abc é"), min_size=1, max_size=9), max_size=12)


@given(words, st.integers(0, 12))
def test_merges_are_those_of_the_definition(texts, n_merges):
    pieces = count_pieces(texts)
    assert learn_merges(pieces, n_merges) == by_definition(pieces, n_merges)


def test_pieces_are_those_that_encoding_makes():
    pieces = count_pieces([TEXT, "low\n\n  lower"])
    assert pieces[b" low"] == 4 and pieces[b"low"] == 2 and pieces[b" lower"] == 3
    assert sum(map(len, pieces.elements())) == len(TEXT) + len("low\n\n  lower")
    assert regex.findall(PATTERN, "low lower") == ["low", " lower"]


@given(words, st.text(st.sampled_from("abc é\n")))
def test_every_learned_vocabulary_is_one_that_tiktoken_merges_alike(texts, text):
    vocabulary = learn_vocabulary(texts, 280)
    assert vocabulary.encoding is not None          # each token is reached
    tokenizer = BPETokenizer(vocabulary)
    expected = []
    for piece in regex.findall(PATTERN, text):
        tokens = [bytes([byte]) for byte in piece.encode()]
        for pair in vocabulary.merges:
            tokens, _ = merged(tokens, pair)
        expected += [vocabulary.ids[token] for token in tokens]
    assert tokenizer.encode(text).tolist() == expected
    assert tokenizer.decode(expected) == text


@pytest.mark.parametrize("size", [256, 0, 65_537, 1.5, True])
def test_a_size_that_has_no_room_for_the_bytes_is_rejected(size):
    with pytest.raises(ValueError, match="must be an integer from 257 to 65536"):
        learn_vocabulary([TEXT], size)


def test_a_corpus_is_read_with_a_vocabulary_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text(TEXT * 9)
    corpus = load_corpus(tmp_path / "text.txt", "bpe:270")
    again = load_corpus(tmp_path / "text.txt", "bpe:270")
    assert corpus.tokenizer == again.tokenizer and corpus.path == again.path
    assert corpus.tokenizer.vocab_size == 270 and corpus.tokenizer.eot_id == 269
    assert corpus.tokenizer.decode(corpus.train) == (TEXT * 9)[:len(
        corpus.tokenizer.decode(corpus.train))]
    assert load_corpus(tmp_path / "text.txt", "bpe:265").path != corpus.path
    record = corpus.tokenizer.to_dict()
    assert record["name"] == "bpe" and tokenizer_from_dict(record) == corpus.tokenizer
    assert load_corpus(tmp_path / "text.txt", corpus.tokenizer).fingerprint == corpus.fingerprint
    assert corpus.notes == ()
    small = load_corpus(tmp_path / "text.txt", "bpe:60000")
    n_ids = small.tokenizer.vocab_size
    assert n_ids < 300 and small.notes == (
        f"{small.name} gives {n_ids} ids, not 60,000: after their merges no pair stands in it "
        "twice",)
    with pytest.raises(ValueError, match="bpe=256 must be an integer from 257"):
        load_corpus(tmp_path / "text.txt", "bpe:256")


def test_ends_of_documents_in_a_text_are_reported_and_are_tokens_if_asked_for(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text("one two<|endoftext|>" * 3 + "x" * 2**18 + "<|endoftext|>y")
    plain = load_corpus(tmp_path / "text.txt", "gpt2", 0.0)
    special = load_corpus(tmp_path / "text.txt", "gpt2", 0.0, special=True)
    assert plain.notes == (f"{plain.name} holds <|endoftext|> 4 times, read as text; --special "
                           "makes each the end of a document",)
    assert special.notes == (f"{plain.name} holds <|endoftext|> 4 times: each is the end of a "
                             "document",)
    assert (plain.train == 50256).sum() == 0 and (special.train == 50256).sum() == 4
    assert plain.fingerprint != special.fingerprint and plain.path != special.path
    assert plain.tokenizer.decode(plain.train) == special.tokenizer.decode(special.train)
    assert load_corpus(tmp_path / "text.txt", "char", 0.0).notes == ()


def test_a_vocabulary_comes_back_from_its_file():
    vocabulary = learn_vocabulary([TEXT], 270)
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
