"""Documents read block by block, and folders walked in order."""

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text.sources import (
    ContentHash,
    CorpusError,
    Source,
    content_hash,
    file_source,
    folder_source,
    read_text,
)

from .slow import slow_document


def held(content, block_bytes=100):
    return slow_document("held", content, block_bytes)


def names(source, folder):
    return [os.path.relpath(document.name, folder) for document in source.documents]


@given(st.text(), st.integers(1, 9))
def test_text_is_the_same_in_blocks_of_any_size(text, block_bytes):
    assert "".join(read_text(held(text.encode(), block_bytes))) == text


@given(st.text(), st.binary(max_size=20), st.integers(1, 9))
def test_the_first_byte_that_is_not_utf_8_is_named_with_its_offset(text, tail, block_bytes):
    content = text.encode() + tail
    try:
        content.decode()
    except UnicodeDecodeError as expected:
        at = f"0x{content[expected.start]:02x} at byte offset {expected.start}"
        with pytest.raises(CorpusError, match=f"held is not UTF-8 text: byte {at}[ ;]"):
            list(read_text(held(content, block_bytes)))
    else:
        assert "".join(read_text(held(content, block_bytes))) == content.decode()


@pytest.mark.parametrize("written, read", [
    ("\ufeffa\r\nb\rc\n", "a\r\nb\rc\n"), ("a\ufeffb", "a\ufeffb"), ("\ufeff\ufeff", "\ufeff"),
])
def test_a_byte_order_mark_is_left_out_and_newlines_stay_as_they_are(tmp_path, written, read):
    path = tmp_path / "text"
    path.write_bytes(written.encode())
    (document,) = file_source("text", [path]).documents
    assert "".join(read_text(document)) == read


def test_a_fifo_among_texts_is_rejected_at_once(tmp_path):
    os.mkfifo(tmp_path / "text")
    (document,) = file_source("text", [tmp_path / "text"]).documents
    with pytest.raises(CorpusError, match="text is a FIFO; expected a regular file"):
        list(read_text(document))


def test_utf_16_is_recognised(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_bytes("hello".encode("utf-16"))
    for source in (file_source("windows", [path]), folder_source(tmp_path)):
        with pytest.raises(CorpusError, match=r"windows.txt is not UTF-8.*\(the mark of UTF-16\)"):
            list(read_text(source.documents[0]))


def test_a_file_that_is_gone_is_named(tmp_path):
    (document,) = file_source("gone", [tmp_path / "gone.txt"]).documents
    with pytest.raises(CorpusError, match="cannot read .*gone.txt: No such file"):
        list(read_text(document))


def test_the_hash_knows_content_order_and_where_documents_end():
    def hash_of(*contents):
        return content_hash(Source("s", tuple(held(content) for content in contents))).hexdigest()

    contents = [(b"ab",), (b"a", b"b"), (b"b", b"a"), (b"ab", b""), ()]
    assert len({hash_of(*content) for content in contents}) == len(contents)
    assert hash_of(b"a", b"b") == hash_of(b"a", b"b")
    assert content_hash(Source("s", (held(b"abc"), held(b"de")))).n_bytes == 5


def test_reading_text_hashes_the_bytes():
    content = ContentHash()
    for document in (held("é中".encode(), 2), held(b"b", 2)):
        list(read_text(document, content))
    again = content_hash(Source("s", (held("é中".encode()), held(b"b"))))
    assert content.hexdigest() == again.hexdigest() and content.n_bytes == again.n_bytes == 6


def test_a_folder_gives_its_text_files_in_the_order_of_their_names(tmp_path):
    for name in ("b.txt", "a/z.md", "a/B/q", "a.txt", "Z", "a/A/q", "é.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert names(folder_source(tmp_path), tmp_path) == [
        "Z", "a.txt", "b.txt", "é.txt", "a/z.md", "a/A/q", "a/B/q"]


def test_hidden_and_binary_files_are_left_out(tmp_path):
    (tmp_path / "text").write_text("text")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (tmp_path / ".hidden").write_text("hidden")
    for folder in (".git", "__pycache__"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "inside").write_text("inside")
    (tmp_path / "broken link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link to a folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        said = []
        assert names(folder_source(tmp_path, said.append), tmp_path) == ["text"]
    note, = said
    assert note == (f"{tmp_path}: read 1 file (text); left out 8: .git/ (hidden), "
                    "__pycache__/ (compiled code), link to a folder/ (link), ...")


def test_what_was_read_of_a_folder_and_what_not_is_reported_by_name(tmp_path):
    def note():
        said = []
        folder_source(tmp_path, said.append)
        return said[0].removeprefix(f"{tmp_path}: ")

    (tmp_path / "in").mkdir()
    for number in range(2):
        (tmp_path / "in" / f"{number}.txt").write_text("text")
    assert note() == f"read 2 files (in{os.sep}0.txt, in{os.sep}1.txt); none left out"
    (tmp_path / "in" / "a.bin").write_bytes(b"\0")
    (tmp_path / "in" / ".b").write_text("hidden")
    for number in range(4):
        (tmp_path / f"{number}").write_text("text")
    assert note() == (f"read 6 files (0, 1, 2, ...); left out in{os.sep}.b (hidden), "
                      f"in{os.sep}a.bin (binary)")


def test_a_folder_without_text_says_so(tmp_path):
    (tmp_path / "binary").write_bytes(b"\0")
    with pytest.raises(CorpusError, match="holds no text file"):
        folder_source(tmp_path)
