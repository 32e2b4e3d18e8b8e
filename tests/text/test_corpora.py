"""Corpora: split, counted, cached, and loaded whatever state the cache is in."""

import math
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.files import PARTIAL
from npgpt.text import (
    BPETokenizer,
    CharTokenizer,
    Corpus,
    CorpusError,
    corpora,
    load_corpus,
    shakespeare,
)

TEXT = "It was the best of times,\nit was the worst of times.\n" * 40


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(TEXT)
    return path


def whole(corpus):
    return np.concatenate([corpus.train, corpus.val])


@pytest.mark.parametrize("tokenizer", [
    "char", "gpt2", BPETokenizer(), CharTokenizer.from_text(TEXT),
])
def test_a_file_becomes_its_tokens(book, tokenizer):
    for _ in range(2):
        corpus = load_corpus(book, tokenizer)
        assert corpus.train.dtype == corpus.val.dtype == np.uint16
        assert whole(corpus).tolist() == corpus.tokenizer.encode(TEXT).tolist()
        assert corpus.tokenizer.decode(whole(corpus)) == TEXT
        assert (corpus.name, corpus.notes) == (str(book), ())
        assert corpus.n_bytes == len(TEXT) and corpus.n_tokens == len(whole(corpus))


def test_val_is_the_last_tenth_as_in_nanogpt(book):
    corpus = load_corpus(str(book))
    n_train = int(len(TEXT) * 0.9)
    assert corpus.tokenizer.decode(corpus.train) == TEXT[:n_train]
    assert corpus.tokenizer.decode(corpus.val) == TEXT[n_train:]


@given(st.floats(0, 1, exclude_max=True))
def test_any_fraction_can_be_held_back(val_fraction):
    corpus = load_corpus("python-docs", val_fraction=val_fraction)
    assert len(corpus.val) == pytest.approx(corpus.n_tokens * val_fraction, abs=1)


@pytest.mark.parametrize("val_fraction", [1, -0.1, 1.5, math.nan])
def test_an_invalid_fraction_is_rejected(book, val_fraction):
    with pytest.raises(ValueError, match="must be in \\[0, 1\\)"):
        load_corpus(book, val_fraction=val_fraction)


def test_the_vocabulary_includes_characters_of_val_alone(tmp_path):
    path = tmp_path / "text"
    path.write_text("a" * 99 + "z")
    corpus = load_corpus(path)
    assert corpus.tokenizer.characters == "az" and corpus.val[-1] == 1


def test_tokens_come_mapped_from_a_file_in_the_cache(book, cache):
    corpus = load_corpus(book)
    assert corpus.path.parent == cache and corpus.path.name.startswith("book.txt-char-")
    written = corpus.path.stat().st_mtime_ns
    assert load_corpus(book).path == corpus.path
    assert corpus.path.stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="read-only"):
        corpus.train[0] = 1


def test_each_text_and_tokenizer_has_its_own_file_and_fingerprint(book, tmp_path):
    other = tmp_path / "other" / "book.txt"
    other.parent.mkdir()
    other.write_text(TEXT + "!")
    asked = ["char", "gpt2", CharTokenizer.from_text(TEXT + "!?")]
    loaded = [load_corpus(path, tokenizer) for path in (book, other) for tokenizer in asked]
    assert len({corpus.path for corpus in loaded}) == 6
    assert len({corpus.fingerprint for corpus in loaded}) == 6
    again = [load_corpus(path, tokenizer) for path in (book, other) for tokenizer in asked]
    assert [corpus.fingerprint for corpus in again] == [corpus.fingerprint for corpus in loaded]


def test_the_fingerprint_is_the_same_for_a_tokenizer_by_name_and_at_hand(book):
    by_name = load_corpus(book, "char")
    assert load_corpus(book, by_name.tokenizer).fingerprint == by_name.fingerprint
    assert load_corpus(book, "gpt2").fingerprint == load_corpus(book, BPETokenizer()).fingerprint


def test_a_changed_text_of_the_same_size_and_time_is_noticed(book):
    before, times = load_corpus(book), (book.stat().st_atime, book.stat().st_mtime)
    book.write_text(TEXT.upper())
    os.utime(book, times)
    after = load_corpus(book)
    assert after.tokenizer.decode(whole(after)) == TEXT.upper()
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize("damage", [
    lambda content: content[:-1],
    lambda content: content[:10],
    lambda content: b"",
    lambda content: b"something else entirely" * 9,
    lambda content: content[:-50] + bytes([content[-50] ^ 1]) + content[-49:],
])
def test_a_damaged_token_file_is_built_again_with_a_note(book, damage):
    first = load_corpus(book)
    good = first.path.read_bytes()
    first.path.write_bytes(damage(good))
    second = load_corpus(book)
    assert second.tokenizer.decode(whole(second)) == TEXT
    assert len(second.notes) == 1 and "the text is tokenised again" in second.notes[0]
    assert second.path.read_bytes() == good
    assert load_corpus(book).notes == ()


def test_a_token_file_of_another_text_or_tokenizer_is_not_believed(book, tmp_path):
    (tmp_path / "other.txt").write_text("other " * 99)
    mine = load_corpus(book).path
    strangers = {"text": tmp_path / "other.txt", "tokenizer": book}
    for what, path in strangers.items():
        os.replace(load_corpus(path, "char" if what == "text" else "gpt2").path, mine)
        corpus = load_corpus(book)
        assert f"another {what}" in corpus.notes[0]
        assert corpus.tokenizer.decode(whole(corpus)) == TEXT


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_cache_that_cannot_be_written_leaves_the_tokens_in_memory(book, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    notes = []
    corpus = load_corpus(book, cache_dir=tmp_path / place, report=notes.append)
    assert corpus.tokenizer.decode(whole(corpus)) == TEXT
    assert corpus.path is None and corpus.notes == tuple(notes) and len(notes) == 1
    assert "stay in memory" in notes[0] and "NPGPT_CACHE" in notes[0]
    with pytest.raises(ValueError, match="read-only"):
        corpus.train[0] = 1


def test_a_full_disk_leaves_the_tokens_in_memory(book, cache):
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from npgpt.text import load_corpus\n"
        "corpus = load_corpus(sys.argv[1])\n"
        "assert corpus.path is None and 'stay in memory' in corpus.notes[0], corpus\n"
        "print(corpus.n_tokens)\n"
    )
    result = subprocess.run([sys.executable, "-c", program, book], capture_output=True, check=True)
    assert int(result.stdout) == len(TEXT) and list(cache.iterdir()) == []


def test_a_folder_is_joined_in_order(tmp_path):
    folder = tmp_path / "poems"
    folder.mkdir()
    for name, text in (("b", "two"), ("a", "one"), ("c", "")):
        (folder / name).write_text(text)
    chars, bpe = load_corpus(folder), load_corpus(folder, "gpt2")
    assert chars.tokenizer.decode(whole(chars)) == "one\ntwo"
    assert bpe.tokenizer.decode(whole(bpe)) == "one<|endoftext|>two"
    assert chars.n_bytes == bpe.n_bytes == 6


def test_an_undecodable_file_of_a_folder_is_named_with_the_offset(tmp_path):
    folder = tmp_path / "poems"
    folder.mkdir()
    (folder / "good").write_text("good")
    (folder / "latin").write_bytes("caf\xe9 au lait".encode("latin-1"))
    for tokenizer in ("char", "gpt2"):
        with pytest.raises(CorpusError, match=r"latin is not UTF-8 .* 0xe9 at byte offset 3"):
            load_corpus(folder, tokenizer)


def test_an_empty_text_is_an_error(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(CorpusError, match="is empty"):
        load_corpus(tmp_path / "empty")


def test_a_tokenizer_at_hand_names_a_character_that_it_does_not_know(book):
    with pytest.raises(CorpusError, match=r"book.txt: character 'I' \(U\+0049\) at position 0"):
        load_corpus(book, CharTokenizer("abc"))


@pytest.mark.parametrize("tokenizer", ["gtp2", "GPT2", "gpt2 "])
def test_another_tokenizer_is_rejected(book, tokenizer):
    with pytest.raises(ValueError, match="unknown tokenizer .*; expected char, gpt2 or bpe:1024"):
        load_corpus(book, tokenizer)


def test_a_text_that_changes_while_it_is_read_is_an_error(book, cache, monkeypatch):
    def encode_later(source, tokenizer, content, special):
        book.write_text(TEXT + "more")
        yield from encode_source(source, tokenizer, content, special)

    encode_source = corpora.encode_source
    monkeypatch.setattr(corpora, "encode_source", encode_later)
    with pytest.raises(CorpusError, match="changed while it was read"):
        load_corpus(book, "gpt2")
    assert list(cache.iterdir()) == []


def test_a_short_text_says_how_many_tokens_there_are(book):
    corpus = load_corpus(book)
    n_val = len(corpus.val)
    corpus.require(n_val, corpus.val)
    with pytest.raises(CorpusError, match=f"validation .*at least {n_val + 1} tokens, got {n_val}"):
        corpus.require(n_val + 1, corpus.val)
    corpus.require(n_val + 1, corpus.train)
    with pytest.raises(CorpusError, match="training part .* at least 1,000,000 tokens, got 1,908"):
        corpus.require(1_000_000, corpus.train)


def corpus_of(train, val, vocabulary="abcd"):
    return Corpus("made", CharTokenizer(vocabulary), np.array(train, np.uint16),
                  np.array(val, np.uint16), n_bytes=len(train) + len(val), fingerprint="")


def test_the_unigram_entropy_is_that_of_the_frequencies_in_nats():
    assert corpus_of([0, 1, 2, 3], [0]).unigram_entropy() == pytest.approx(math.log(4), rel=1e-14)
    assert corpus_of([0, 0, 0, 1], [2]).unigram_entropy() == pytest.approx(
        -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), rel=1e-14)
    assert corpus_of([2, 2, 2], [0]).unigram_entropy() == 0.0


def test_counting_in_blocks_counts_all(book, monkeypatch):
    expected = load_corpus(book).unigram_entropy()
    monkeypatch.setattr(corpora, "_COUNT_AT_ONCE", 7)
    assert load_corpus(book).unigram_entropy() == expected


def test_shakespeare_offline_names_what_needs_no_network(monkeypatch, cache):
    monkeypatch.setattr(shakespeare, "URL", "http://127.0.0.1:9/input.txt")
    with pytest.raises(CorpusError) as error:
        load_corpus("shakespeare")
    message = str(error.value)
    assert "\n" not in message and "cannot download shakespeare" in message
    place = str(cache / "shakespeare.txt")
    for words in (place, "python-docs", "python-source", "any file or folder"):
        assert words in message


def test_a_text_larger_than_the_memory_in_use_is_loaded(tmp_path):
    path = tmp_path / "large.txt"
    with path.open("w") as file:
        for n in range(400):
            file.write(f"line {n}: " + "some ordinary words of text, again and again\n" * 2000)
    n_bytes = path.stat().st_size
    assert n_bytes > 35_000_000
    notes = []
    tracemalloc.start()
    try:
        corpus = load_corpus(path, report=notes.append)
        corpus.unigram_entropy()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert corpus.n_tokens == n_bytes
    assert peak < n_bytes // 2
    assert len(notes) == 1 and notes[0].endswith("(36 MB), once")


def test_threads_that_load_one_corpus_at_once_all_get_it(book):
    loaded = []

    def load():
        loaded.append(load_corpus(book, "gpt2"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [corpus.tokenizer.decode(whole(corpus)) == TEXT for corpus in loaded] == [True] * 8
    assert {corpus.path for corpus in loaded} == {loaded[0].path}


LOADER = """
import sys
from npgpt.text import encode, load_corpus, sources
source_of = encode.read_text

def read_slowly(document, content=None):
    for piece in source_of(document, content):
        print("piece", flush=True)
        sys.stdin.readline()
        yield piece

if sys.argv[2] == "slowly":
    sources.BLOCK_BYTES = 16
    encode.read_text = read_slowly
corpus = load_corpus(sys.argv[1], "gpt2")
print(corpus.n_tokens, corpus.path, corpus.notes, sep="|")
"""


def test_a_process_killed_while_it_tokenises_leaves_nothing_that_harms(book, cache):
    for n_pieces in (2, 40, 100):
        program = [sys.executable, "-c", LOADER, str(book), "slowly"]
        with subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loader:
            # it waits for a line after each piece, so that a kill is never too late
            loader.stdin.write(b"\n" * (n_pieces - 1))
            loader.stdin.flush()
            for _ in range(n_pieces):
                assert loader.stdout.readline() == b"piece\n"
            loader.send_signal(signal.SIGKILL)
        assert loader.returncode == -signal.SIGKILL
        assert not list(cache.glob("book*")) and list(cache.glob(f"{PARTIAL}*"))
    corpus = load_corpus(book, "gpt2")
    assert corpus.tokenizer.decode(whole(corpus)) == TEXT and corpus.notes == ()


def test_processes_that_load_one_corpus_at_once_all_get_it(book, cache):
    program = [sys.executable, "-c", LOADER, str(book), "quickly"]
    loaders = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    lines = {loader.communicate()[0] for loader in loaders}
    corpus = load_corpus(book, "gpt2")
    assert lines == {f"{corpus.n_tokens}|{corpus.path}|()\n"}
    assert list(cache.iterdir()) == [Path(corpus.path)]
