"""Servers that lie, stall, redirect and never end: one printable line each, and no file of theirs.

The server is a bare socket that says whatever a test wants; hub.py has one that is Hugging Face's.
"""

from __future__ import annotations

import itertools
import socket
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.client import HTTPMessage
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Iterable, Iterator, NamedTuple

import pytest

from npgpt.weights import download as downloading
from npgpt.weights.download import SLOWEST, WINDOW, download
from npgpt.weights.pull import pull

BODY = bytes(range(256)) * 40
OK = b"HTTP/1.1 200 OK\r\n"


class Server:
    """Answers the n-th request with the n-th of its replies, and the later ones with the last."""

    def __init__(self, *replies: bytes | Iterable[bytes]) -> None:
        self.replies, self.asked = list(replies), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    if not (more := connection.recv(65536)):
                        break
                    request += more
                if not request:
                    return
                self.asked.append(request)
                reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
                try:
                    for part in [reply] if isinstance(reply, bytes) else reply:
                        connection.sendall(part)
                except OSError:
                    pass                        # the client has had enough


@contextmanager
def answering(*replies: bytes | Iterable[bytes]) -> Iterator[Server]:
    server = Server(*replies)
    server.thread.start()
    try:
        yield server
    finally:
        # a connection without a request ends it
        socket.create_connection(server.listener.getsockname()).close()
        server.thread.join(timeout=60)
        server.listener.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetched(
    server: Server, partial: Path, most: int = 10**6, pauses: tuple[float, ...] = ()
) -> str:
    return download(server.url, partial, most, lambda done, total: None, pauses)


class Endless(NamedTuple):
    """A reply that goes on until the client has gone."""

    head: bytes
    part: bytes

    def __iter__(self) -> Iterator[bytes]:
        return itertools.chain([self.head], itertools.repeat(self.part))


def length(*values: str, body: bytes = BODY) -> bytes:
    lines = "".join(f"Content-Length: {value}\r\n" for value in values).encode()
    return OK + lines + b"\r\n" + body


@pytest.mark.parametrize("reply", [
    b"HTTP/1.1 403 \x1b[31mForbidden\x1b]0;your terminal\x07\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 404 \xe2\x80\xae\r\nContent-Length: 0\r\n\r\n",
    b"\x1b[2Jwho is there\r\n\r\n",
    b"HTTP/1.1 two hundred\r\n\r\n",
    b"",
    OK + b"A: b\r\n" * 200 + b"\r\n",
    OK + b"A: " + b"b" * 70000 + b"\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/model\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: data:,weights\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://[bad/\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: \x1b[31m\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /\xff\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\n\r\n12345",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: \x1b[31m\r\n\r\n12345",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 4\r\n\r\n1234",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\n\r\n12345",
    OK + b"Content-Encoding: gzip\r\n\r\n12345",
    OK + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    length(str(10**12)), length(str(10**30)), length("5", "6"), length("5, 6"), length("-5"),
    length("+5"), length("5.0"), length("0x10"), length("1e3"), length("5 5"), length("\xb2"),
], ids=lambda reply: repr(reply[:72])[2:-1])
def test_nonsense_is_answered_with_one_printable_line_and_leaves_nothing(
    reply: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(reply) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(OSError, match="cannot be downloaded") as caught:
            pull("gpt2", tmp_path / "to", pauses=())
    message = str(caught.value)
    assert message.isprintable() and len(message) < 800
    assert not (tmp_path / "to" / "model.safetensors").exists()
    assert len(server.asked) <= 11


@pytest.mark.parametrize("reply", [
    length(str(len(BODY))), length(str(len(BODY)), str(len(BODY))),
    length(f"{len(BODY)}, {len(BODY)}"), length(str(len(BODY)), body=BODY + b"and more"),
    OK + b"\r\n" + BODY,
    OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n",
], ids=["length", "twice", "twice in a line", "longer", "none", "chunks", "elsewhere"])
def test_every_right_form_of_an_answer_arrives_whole(reply: bytes, tmp_path: Path) -> None:
    with answering(reply, length(str(len(BODY)))) as server:
        fetched(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("head", [
    OK, b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\n"], ids=["200", "206"])
def test_a_body_without_an_end_is_cut_at_what_is_expected(head: bytes, tmp_path: Path) -> None:
    with answering(Endless(head + b"\r\n", b"x" * 1000)) as server:
        if b"206" in head:
            fetched(server, tmp_path / "file")
        else:
            with pytest.raises(OSError, match="does not stop after 5,000 bytes"):
                fetched(server, tmp_path / "file", most=5000)
    assert (tmp_path / "file").stat().st_size == (10 if b"206" in head else 5001)


def test_the_announced_size_ends_a_download_though_the_server_goes_on(tmp_path: Path) -> None:
    with answering(Endless(length("10", body=b""), b"x" * 1000)) as server:
        fetched(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"x" * 10


def test_a_download_that_trickles_in_is_given_up_after_as_many_attempts_as_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a clock on which each byte takes a second, on every attempt
    seconds = itertools.count()
    monkeypatch.setattr(downloading, "time", SimpleNamespace(
        monotonic=lambda: next(seconds), sleep=lambda pause: None))
    with answering(Endless(length(str(10**6), body=b""), b"x")) as server:
        monkeypatch.setattr(socket.socket, "recv_into", one_byte(socket.socket.recv_into))
        with pytest.raises(TimeoutError, match="bytes in 6[01] seconds"):
            fetched(server, tmp_path / "file", pauses=(0.0, 0.0))
    assert len(server.asked) == 3
    assert 0 < (tmp_path / "file").stat().st_size < SLOWEST * WINDOW


def one_byte(recv_into):
    """What arrives, arrives byte by byte once there are headers."""
    return lambda self, buffer, *args: recv_into(self, memoryview(buffer)[:1], *args)


def test_headers_that_trickle_in_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "PATIENCE", 0.05)
    stopped = threading.Event()

    def never() -> Iterator[bytes]:
        yield OK + b"A: b"
        stopped.wait(60)

    with answering(never()) as server:
        with pytest.raises(TimeoutError, match="no complete answer within"):
            fetched(server, tmp_path / "file")
        stopped.set()
    assert (tmp_path / "file").stat().st_size == 0


@pytest.mark.parametrize("range_", [
    "bytes 3-{last}/{size}", "bytes 6-{last}/{size}", "bytes 5-4/{size}", "bytes 5-{last}/6",
    "5-{last}/{size}", "bytes */{size}", "bytes -5-{last}/{size}", ""])
def test_another_part_than_the_one_asked_for_starts_the_file_anew(
    range_: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(BODY[:5])
    given = range_.format(last=len(BODY) - 1, size=len(BODY))
    part = f"HTTP/1.1 206 Partial Content\r\nContent-Range: {given}\r\n\r\n".encode() + BODY[5:]
    with answering(part, length(str(len(BODY)))) as server:
        fetched(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert b"Range: bytes=5-" in server.asked[0] and b"Range" not in server.asked[1]


def test_a_range_of_unknown_size_is_taken_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY[:5])
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-{len(BODY) - 1}/*\r\n\r\n"
    with answering(head.encode() + BODY[5:]) as server:
        fetched(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("where, follows", [
    ("https://there/model", True), ("http://there/model", False), ("ftp://there/model", False),
    ("file:///model", False)])
def test_no_redirection_leads_from_https_to_something_less(where: str, follows: bool) -> None:
    request = urllib.request.Request("https://here/model")
    links = downloading._Links()
    given = (request, BytesIO(), 302, "Found", HTTPMessage(), where)
    if follows:
        assert links.redirect_request(*given).full_url == where
    else:
        with pytest.raises(urllib.error.HTTPError, match="redirects from https to"):
            links.redirect_request(*given)
