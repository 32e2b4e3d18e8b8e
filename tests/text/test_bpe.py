"""GPT-2's byte-pair encoding: the table, the ids, and the places where text may be cut."""

import base64
import contextlib
import doctest
import functools
import hashlib
import re
import subprocess
import sys
from importlib.resources import files
from unittest import mock

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from npgpt.text import BPETokenizer, bpe

TOKENIZER = BPETokenizer()
# r50k_base.tiktoken, the file that OpenAI publishes for the same ranks
R50K_BASE = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
# GPT-2's pattern as OpenAI wrote it
ORIGINAL = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

# white space that Python, Unicode and GPT-2 see differently, quotes that may be contractions
tricky = st.text(st.sampled_from("ab 1é中.'\"s \n\t\r\x1c\x1f\x85\xa0\u2028\u3000\u200b😀rev\ufeff_"))
anything = st.one_of(tricky, st.text())


@pytest.mark.smoke
def test_the_shipped_table_is_openai_s_byte_for_byte():
    lines = [
        base64.b64encode(piece) + b" %d\n" % rank for piece, rank in bpe.mergeable_ranks().items()
    ]
    assert len(lines) == 50_256
    assert hashlib.sha256(b"".join(lines)).hexdigest() == R50K_BASE


@pytest.mark.parametrize("text, ids", [
    ("Every effort moves you", [6109, 3626, 6100, 345]),
    ("Every day holds a", [6109, 1110, 6622, 257]),
    ("Implementations", [3546, 26908, 602]),
    ("Hello, world. Is this-- a test?", [15496, 11, 995, 13, 1148, 428, 438, 257, 1332, 30]),
])
def test_known_texts_have_gpt_2_s_ids(text, ids):
    assert TOKENIZER.encode(text).tolist() == ids
    assert TOKENIZER.decode(ids) == text


@functools.cache
def ranks():
    return bpe.mergeable_ranks()


def merged(piece):
    """The ids of one piece by the definition: join the earliest pair until none is left."""
    parts = [bytes([byte]) for byte in piece]
    while len(parts) > 1:
        pairs = [ranks().get(left + right, 1 << 30) for left, right in zip(parts, parts[1:])]
        best = min(pairs)
        if best == 1 << 30:
            break
        at = pairs.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [ranks()[part] for part in parts]


@pytest.mark.smoke
@given(anything)
@example("I'll we've 'S can't  stop\n\n  now   ")
def test_ids_are_those_of_the_definition_written_out(text):
    pieces = ORIGINAL.findall(text)
    assert "".join(pieces) == text
    expected = [token for piece in pieces for token in merged(piece.encode("utf-8"))]
    assert TOKENIZER.encode(text).tolist() == expected


@given(anything, anything)
@example("a\n", "b")
@example("can'", " t")
@example("a\x1c ", "b")
def test_a_safe_cut_changes_no_id_whatever_follows(text, rest):
    cut = TOKENIZER.safe_cut(text)
    assert 0 <= cut <= len(text)
    joined = TOKENIZER.encode(text[:cut]).tolist() + TOKENIZER.encode(text[cut:] + rest).tolist()
    assert joined == TOKENIZER.encode(text + rest).tolist()


def test_a_safe_cut_is_found_near_the_end_of_ordinary_text():
    text = "one two\n\nthree fo"
    assert text[:TOKENIZER.safe_cut(text)] == "one two\n\nthree"
    assert TOKENIZER.safe_cut("nothing-to-cut") == TOKENIZER.safe_cut(" \n\n ") == 0


def test_behind_a_newline_a_cut_would_change_ids():
    whole = TOKENIZER.encode("a\n\nb").tolist()
    assert TOKENIZER.encode("a\n\n").tolist() + TOKENIZER.encode("b").tolist() != whole


@given(st.text(st.sampled_from(" \n\t\u3000\x1cab"), min_size=1))
@example("a  b   ")
@example("  ")
def test_long_runs_of_space_are_encoded_alone_without_changing_an_id(text):
    plain = TOKENIZER.encode(text).tolist()
    with long_space_is(2):
        assert TOKENIZER.encode(text).tolist() == plain


@contextlib.contextmanager
def long_space_is(length):
    pattern = bpe._LONG_SPACE.pattern.replace(f"{bpe._LONG},", f"{length},")
    with mock.patch.multiple(bpe, _LONG=length, _LONG_SPACE=re.compile(pattern)):
        yield


@given(st.text(st.sampled_from(" \n\u2003\x85ab"), max_size=40), st.integers(2, 9))
@example("a" * 7 + " " * 9, 9)
def test_no_long_run_of_space_is_overlooked(text, length):
    with long_space_is(length):
        assert bpe._may_have_long_space(text) or not bpe._LONG_SPACE.search(text)


@pytest.mark.parametrize("end", ["word", ""])
@pytest.mark.parametrize("run", [" ", "\n", "\u3000", " \n"])
def test_a_million_spaces_are_encoded_before_a_word_and_at_the_end(run, end):
    """Before a word tiktoken alone panics, with an error that `except Exception` does not catch."""
    text = "x" + run * 1_000_000 + end
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_runs_of_space_just_short_of_a_long_one_take_no_longer():
    """In three megabytes, a search that starts anew within a run takes 15,000 million steps."""
    program = ("from npgpt.text import BPETokenizer; text = ('a' + ' ' * 9999) * 300; "
               "t = BPETokenizer(); assert t.decode(t.encode(text)) == text")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("sign", ["a", "ab", ".", "7", "中"])
def test_very_long_pieces_are_encoded(sign):
    text = sign * 200_000
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_the_end_of_text_is_text_unless_asked_for():
    text = "one<|endoftext|>two<|endoftext|>"
    plain, special = TOKENIZER.encode(text).tolist(), TOKENIZER.encode(text, special=True).tolist()
    assert 50256 not in plain
    assert special == [505, 50256, 11545, 50256]
    assert TOKENIZER.decode(plain) == TOKENIZER.decode(special) == text
    assert (TOKENIZER.vocab_size, TOKENIZER.eot_id, TOKENIZER.name) == (50257, 50256, "gpt2")


def test_every_id_but_the_last_stands_for_its_own_bytes():
    pieces = {TOKENIZER.decode_bytes([token]) for token in range(50_257)}
    assert len(pieces) == 50_257


def test_bytes_that_are_not_a_character_become_the_replacement_character():
    first, *_ = TOKENIZER.encode("😀")
    assert TOKENIZER.decode([first]) == "\ufffd"
    assert TOKENIZER.decode_bytes([first]) == "😀".encode()[: len(TOKENIZER.decode_bytes([first]))]


def test_tiktoken_is_imported_only_when_a_text_is_encoded():
    program = (
        "import sys, npgpt.text as text\n"
        "tokenizer = text.BPETokenizer()\n"
        "text.load_corpus('python-docs', 'char')\n"
        "assert not {'tiktoken', 'regex', 'requests', 'urllib.request'} & set(sys.modules)\n"
        "tokenizer.encode('a')\n"
        "assert 'tiktoken' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_network_and_no_cache_are_needed(tmp_path):
    program = (
        "import socket\n"
        "def reject(*args, **kwargs): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = reject\n"
        "import npgpt.text\n"
        "assert npgpt.text.BPETokenizer().encode('Every').tolist() == [6109]\n"
    )
    environment = {"PATH": "", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment["PYTHONPATH"] = ":".join(sys.path)
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert list(tmp_path.iterdir()) == []


def test_the_licence_stands_beside_the_table():
    notice = files("npgpt.text").joinpath("data", "GPT2-LICENSE.txt").read_text("utf-8")
    assert "Modified MIT License" in notice and "Copyright (c) 2019 OpenAI" in notice


def test_the_example_in_the_docstring_runs():
    result = doctest.testmod(bpe)
    assert result.attempted and not result.failed
