"""Token files: whole or not there, whatever happens."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npgpt.files import PARTIAL
from npgpt.text.cache import (
    DamagedTokens,
    TokenHeader,
    cache_folder,
    read_tokens,
    write_tokens,
)

HEADER = TokenHeader(tokenizer={"name": "char", "characters": "abcdé"}, source_hash="00", n_bytes=9)
TOKENS = np.arange(1000, dtype=np.uint16) % 5


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "folder" / "made.tokens"
    write_tokens(path, HEADER, np.split(TOKENS, [1, 500]))
    return path


def test_tokens_come_back_with_their_header(path):
    header, tokens = read_tokens(path)
    assert (header.tokenizer, header.n_bytes, header.count) == (HEADER.tokenizer, 9, 1000)
    assert type(tokens) is np.ndarray and tokens.dtype == np.uint16
    np.testing.assert_array_equal(tokens, TOKENS)
    assert [file.name for file in path.parent.iterdir()] == ["made.tokens"]


def test_tokens_are_mapped_and_cannot_be_changed(path):
    _, tokens = read_tokens(path)
    base = tokens
    while not isinstance(base, np.memmap):
        base = base.base
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_opening_takes_no_memory_for_the_tokens(tmp_path):
    path = tmp_path / "large.tokens"
    block = np.zeros(2**20, np.uint16)
    write_tokens(path, HEADER, [block] * 64)
    program = ("import re, sys\nfrom pathlib import Path\n"
               "from npgpt.text.cache import read_tokens\n"
               "def peak():\n"
               "    status = Path('/proc/self/status').read_text()\n"
               "    return int(re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
               "before = peak()\n"
               "header, tokens = read_tokens(Path(sys.argv[1]))\n"
               "assert len(tokens) == 2**26\n"
               "print(peak() - before)")
    ran = subprocess.run([sys.executable, "-c", program, str(path)], text=True,
                         capture_output=True, check=True)
    # kilobytes: the file has 131072
    assert int(ran.stdout) < 16384


def test_tokens_stay_readable_when_the_file_is_replaced_or_deleted(path):
    _, tokens = read_tokens(path)
    write_tokens(path, HEADER, [TOKENS[::-1]])
    np.testing.assert_array_equal(tokens, TOKENS)
    path.unlink()
    np.testing.assert_array_equal(tokens, TOKENS)


@pytest.mark.smoke
def test_a_damaged_byte_anywhere_is_found(path):
    whole = path.read_bytes()
    header_end = len(whole) - TOKENS.nbytes
    places = [*range(header_end), *range(header_end, len(whole), 41), len(whole) - 1]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedTokens):
            read_tokens(path)


def test_a_cut_or_longer_file_is_found(path):
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedTokens):
            read_tokens(path)
    path.write_bytes(whole + b"\0\0")
    with pytest.raises(DamagedTokens, match="expected .* bytes, got"):
        read_tokens(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" * 99, bytes(5000)])
def test_a_file_of_another_kind_is_recognised(path, content):
    path.write_bytes(content)
    with pytest.raises(DamagedTokens, match="not a token file"):
        read_tokens(path)


def test_the_numbers_of_a_file_are_little_endian(path):
    whole = path.read_bytes()
    assert whole.startswith(b"npgpttok\x02\0\0\0")
    assert whole[-4:] == b"\x03\0\x04\0"


def test_an_error_of_the_chunks_leaves_the_old_file_and_no_other(path):
    def chunks():
        yield TOKENS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tokens(path, HEADER, chunks())
    np.testing.assert_array_equal(read_tokens(path)[1], TOKENS)
    assert len(list(path.parent.iterdir())) == 1


def test_what_a_killed_writer_left_is_removed_after_an_hour_and_not_before(path):
    # more than any process id: another live process's file would stay
    old, fresh = (path.parent / f"{PARTIAL}{2**30 + n}-other.tokens" for n in (1, 2))
    stranger = path.parent / f"{PARTIAL}{2**30 + 3}-mine.txt"
    for file in (old, fresh, stranger):
        file.write_bytes(b"half")
    for file in (old, stranger):
        os.utime(file, (fresh.stat().st_mtime - 4000,) * 2)
    write_tokens(path, HEADER, [TOKENS])
    assert not old.exists() and fresh.exists() and stranger.exists()


WRITER = """
import sys
from pathlib import Path
import numpy as np
from npgpt.text.cache import TokenHeader, write_tokens

def chunks():
    for n in range(1000):
        yield np.full(70_000, n, dtype=np.uint16)
        print(n, flush=True)
        if n + 1 == int(sys.argv[2]):
            sys.stdin.read()

try:
    write_tokens(Path(sys.argv[1]), TokenHeader({"name": "gpt2"}, "00", 9), chunks())
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.mark.parametrize("n_chunks", [1, 4, 15])
def test_a_writer_killed_in_the_middle_leaves_the_old_file(path, n_chunks):
    # it waits there for its standard input to end, so that a kill is never too late
    program = [sys.executable, "-c", WRITER, str(path), str(n_chunks)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        for _ in range(n_chunks):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    assert writer.returncode == -signal.SIGKILL
    np.testing.assert_array_equal(read_tokens(path)[1], TOKENS)
    (leftover,) = path.parent.glob(f"{PARTIAL}*")
    assert leftover.stat().st_size > 0
    write_tokens(path, HEADER, [TOKENS[:7]])
    np.testing.assert_array_equal(read_tokens(path)[1], TOKENS[:7])


def _write_many(path, rounds):
    for _ in range(rounds):
        write_tokens(path, HEADER, np.split(TOKENS, 100))


def test_processes_that_write_one_file_at_once_do_not_harm_it(path):
    # spawn: a fork of a process with threads (tiktoken has some) may hang
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(path, 40)) for _ in range(3)]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        np.testing.assert_array_equal(read_tokens(path)[1], TOKENS)
        reads += 1
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert reads
    assert [file.name for file in path.parent.iterdir()] == ["made.tokens"]


def test_a_full_disk_is_an_error_and_leaves_no_trace(path):
    """A limit on the size of files stands in for the disk: writes fail in the same way."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    program = [sys.executable, "-c", limit + WRITER, str(path), "0"]
    result = subprocess.run(program, stdout=subprocess.DEVNULL)
    assert result.returncode == errno.EFBIG
    np.testing.assert_array_equal(read_tokens(path)[1], TOKENS)
    assert len(list(path.parent.iterdir())) == 1


def test_the_cache_folder_follows_its_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NPGPT_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder("/given") == Path("/given")
    assert cache_folder() == Path("/own")
    monkeypatch.setenv("NPGPT_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("NPGPT_CACHE", "")
    assert cache_folder() == Path("/xdg/npgpt")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "npgpt"


def test_no_home_folder_is_an_error_that_names_the_variable(monkeypatch):
    def nobody(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NPGPT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", nobody)
    with pytest.raises(ValueError, match="~/.cache/npgpt needs a home folder.* set NPGPT_CACHE"):
        cache_folder()


def test_a_damaged_length_does_not_ask_for_gigabytes(path):
    whole = bytearray(path.read_bytes())
    whole[12:16] = b"\xff\xff\xff\xff"
    path.write_bytes(whole)
    with pytest.raises(DamagedTokens, match="header"):
        read_tokens(path)
