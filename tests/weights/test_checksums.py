"""Checksums: every change of a file is noticed, and every change of the table itself."""

import hashlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.weights.checksums import (
    BLOCK,
    CHECKSUMS,
    check_crc32,
    crc32,
    damaged_files,
    measured,
    sha256,
    write_checksums,
)
from npgpt.weights.errors import CheckpointError

CONTENT = {"a.json": b'{"a": 1}', "b.safetensors": bytes(range(256)), "empty": b""}


@pytest.fixture
def folder(tmp_path):
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "a folder").mkdir()
    write_checksums(tmp_path, measured(tmp_path))
    return tmp_path


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 3])
def test_a_checksum_is_that_of_the_whole_content(tmp_path, size):
    content = (b"npgpt" * (size // 5 + 1))[:size]
    (tmp_path / "file").write_bytes(content)
    assert crc32(tmp_path / "file") == f"{zlib.crc32(content):08x}"
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_the_table_is_json_with_size_and_crc32_of_every_file(folder):
    table = json.loads((folder / CHECKSUMS).read_text())
    assert table["files"] == {
        name: {"bytes": len(content), "crc32": f"{zlib.crc32(content):08x}"}
        for name, content in CONTENT.items()}
    assert table["crc32"] == f"{zlib.crc32(json.dumps(table['files']).encode()):08x}"
    assert damaged_files(folder) == {}


def test_what_is_wrong_with_a_file_is_said_in_a_few_words(folder):
    (folder / "a.json").write_bytes(b'{"a": 2}')
    (folder / "b.safetensors").write_bytes(b"short")
    (folder / "empty").unlink()
    (folder / "not in the table").touch()
    assert damaged_files(folder) == {
        "a.json": "does not match its crc32",
        "b.safetensors": "has 5 bytes, expected 256",
        "empty": "is missing",
    }
    (folder / "empty").mkdir()
    assert damaged_files(folder, unread=("a.json", "b.safetensors", "empty")) == {
        "b.safetensors": "has 5 bytes, expected 256", "empty": "is not a regular file"}


def test_a_file_is_compared_with_the_sha256_of_a_download_too(folder):
    digest = hashlib.sha256(CONTENT["a.json"]).hexdigest()
    write_checksums(folder, {"a.json": {"bytes": 8, "sha256": digest}})
    assert damaged_files(folder) == {}
    (folder / "a.json").write_bytes(b'{"a": 3}')
    assert damaged_files(folder) == {"a.json": "does not match its sha256"}


def test_every_flipped_bit_of_the_table_itself_is_noticed(folder):
    path = folder / CHECKSUMS
    whole = path.read_bytes()
    for position in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            assert damaged_files(folder, unread=CONTENT) == {CHECKSUMS: "is damaged"}


@pytest.mark.parametrize("content", [
    "", "[]", "{}", '{"files": 3}', "[" * 10_000, '{"files": {}, "crc32": "00000000"}',
    '{"files": {"a.json": 3}}', '{"files": {"a.json": {"bytes": true}}}', "\0" * 100,
])
def test_another_content_is_not_a_table(folder, content):
    (folder / CHECKSUMS).write_text(content)
    assert damaged_files(folder) == {CHECKSUMS: "is damaged"}


@pytest.mark.parametrize("entries", [
    {"../a.json": {"bytes": 8}}, {"/dev/zero": {"bytes": 0, "crc32": "00000000"}},
    {"a.json": []}, {"a.json": {"bytes": "8"}}, {"a.json": {}},
])
def test_a_forged_table_reads_no_file_outside_of_the_folder(folder, entries):
    write_checksums(folder, entries)
    assert damaged_files(folder) == {CHECKSUMS: "is damaged"}


@given(st.binary(min_size=1, max_size=200), st.data())
def test_every_change_within_32_bits_is_noticed(tmp_path_factory, content, data):
    folder = tmp_path_factory.mktemp("changed")
    (folder / "file").write_bytes(content)
    write_checksums(folder, measured(folder))
    start = data.draw(st.integers(0, len(content) - 1))
    change = data.draw(st.binary(min_size=1, max_size=4).filter(any))
    changed = bytearray(content)
    for position, byte in enumerate(change[:len(content) - start], start):
        changed[position] ^= byte
    (folder / "file").write_bytes(changed)
    assert damaged_files(folder) == (
        {"file": "does not match its crc32"} if bytes(changed) != content else {})


def test_loading_compares_every_file_that_it_names_with_its_crc32(folder):
    files = [folder / name for name in CONTENT]
    check_crc32(*files)
    files[1].write_bytes(bytes(256))
    check_crc32(files[0], files[2])
    with pytest.raises(CheckpointError, match="b.safetensors.*does not match its crc32"):
        check_crc32(*files)
    with pytest.raises(CheckpointError, match="a.json.*is missing"):
        files[0].unlink()
        check_crc32(*files)


def test_a_file_without_a_crc32_is_loaded_without_one(folder):
    (folder / "new").write_bytes(b"x")
    check_crc32(folder / "new")
    write_checksums(folder, {"a.json": {"bytes": 8, "sha256": "0" * 64}})
    check_crc32(folder / "a.json")
    (folder / CHECKSUMS).unlink()
    check_crc32(folder / "a.json")
