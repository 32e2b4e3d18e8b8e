"""What hostile servers do, by groups."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Callable

# pieces after which a client that still reads is one that would read for ever
ENOUGH = 600
ESCAPES = b"\x1b]0;owned\x07\x1b[2J\x1b[31m"


@dataclass(frozen=True)
class Request:
    """A request, and what can be done to whoever asks."""

    path: str
    start: int | None
    """The first byte asked for; None for all."""
    number: int
    """From 1, over all connections of the case."""
    body: bytes
    sha256: str
    send: Callable[[bytes], object]
    reset: Callable[[], None]
    for_ever: Callable[[bytes, float], None]
    """Send a piece again and again, with so many seconds between."""
    port: int

    @property
    def of_blob(self) -> bool:
        """Whether the bytes themselves are asked for, and not the address of them."""
        return self.path.startswith("/blob")


Hostile = Callable[[Request], None]


def honest(request: Request) -> None:
    """As Hugging Face answers: a redirection with the sha256, then the bytes."""
    if not request.of_blob:
        return _answer(request, b"302 Found", b"Location: /blob\r\nX-Linked-Etag: \""
                       + request.sha256.encode() + b"\"\r\nContent-Length: 0\r\n")
    start = request.start or 0
    if start >= len(request.body):
        return _answer(request, b"416 Range Not Satisfiable",
                       b"Content-Range: bytes */%d\r\nContent-Length: 0\r\n" % len(request.body))
    rest = request.body[start:]
    headers = b"Content-Length: %d\r\n" % len(rest)
    if request.start is None:
        return _answer(request, b"200 OK", headers, rest)
    end = len(request.body) - 1
    _answer(request, b"206 Partial Content", headers
            + b"Content-Range: bytes %d-%d/%d\r\n" % (start, end, end + 1), rest)


def _answer(request: Request, status: bytes, headers: bytes = b"", body: bytes = b"") -> None:
    request.send(b"HTTP/1.1 " + status + b"\r\n" + headers + b"\r\n" + body)


def raw(content: bytes) -> Hostile:
    """These bytes, whatever is asked."""
    return lambda request: request.send(content) and None


def status(line: bytes, headers: bytes = b"Content-Length: 0\r\n", body: bytes = b"") -> Hostile:
    """That status for everything."""
    return lambda request: _answer(request, line, headers, body)


def blob(
    headers: bytes | None = None, change: Callable[[bytes], bytes] = lambda body: body,
    line: bytes = b"200 OK",
) -> Hostile:
    """An honest redirection, then these headers and a changed body; None: the body's length."""

    def answer(request: Request) -> None:
        if not request.of_blob:
            return honest(request)
        body = change(request.body)
        length = b"Content-Length: %d\r\n" % len(body)
        _answer(request, line, length if headers is None else headers, body)
    return answer


def redirect(location: bytes, line: bytes = b"302 Found") -> Hostile:
    """Somewhere else, whatever is asked; PORT is the server's own."""
    return lambda request: _answer(request, line, b"Location: " + location.replace(
        b"PORT", b"%d" % request.port) + b"\r\nContent-Length: 0\r\n")


def chunked(body: bytes, size: int = 1000) -> bytes:
    """A body in chunks, with its end."""
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def breaks(fraction: float, reset: bool = False) -> Hostile:
    """Sends a part of what was asked for, each time."""

    def answer(request: Request) -> None:
        if not request.of_blob:
            return honest(request)
        start = request.start or 0
        rest = request.body[start:]
        line, headers = b"200 OK", b"Content-Length: %d\r\n" % len(rest)
        if request.start is not None:
            line = b"206 Partial Content"
            headers += b"Content-Range: bytes %d-%d/%d\r\n" % (
                start, len(request.body) - 1, len(request.body))
        _answer(request, line, headers, rest[:int(fraction * len(rest))])
        if reset:
            request.reset()
    return answer


def endless(headers: bytes, piece: bytes, pause: float = 0.0) -> Hostile:
    """Headers, then a piece for ever."""

    def answer(request: Request) -> None:
        if not request.of_blob:
            return honest(request)
        _answer(request, b"200 OK", headers)
        request.for_ever(piece, pause)
    return answer


def silent(request: Request) -> None:
    """Says nothing, and keeps the connection."""
    request.for_ever(b"", 0.05)


def trickled_headers(request: Request) -> None:
    """A header line now and then."""
    request.send(b"HTTP/1.1 200 OK\r\n")
    request.for_ever(b"X-More: 1\r\n", 0.005)


def first_then(first: Hostile, then: Hostile, times: int = 2) -> Hostile:
    """One behaviour for the first requests, another from then on."""
    return lambda request: (first if request.number <= times else then)(request)


def another_range(shift: int, total: int = 0) -> Hostile:
    """A part that begins elsewhere than was asked for, or says so."""

    def answer(request: Request) -> None:
        if not request.of_blob:
            return honest(request)
        start = max(0, (request.start or 0) + shift)
        rest = request.body[start:]
        _answer(request, b"206 Partial Content",
                b"Content-Length: %d\r\nContent-Range: bytes %d-%d/%d\r\n" % (
                    len(rest), start, len(request.body) - 1, len(request.body) + total), rest)
    return answer


def _flipped(body: bytes) -> bytes:
    at = len(body) - 100
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]


_STATUSES = (
    b"100 Continue", b"102 Processing", b"204 No Content", b"206 Partial Content",
    b"304 Not Modified", b"400 Bad Request", b"401 Unauthorized", b"403 Forbidden",
    b"404 Not Found", b"407 Proxy Authentication Required", b"408 Request Timeout", b"410 Gone",
    b"416 Range Not Satisfiable", b"418 I'm a teapot", b"429 Too Many Requests",
    b"451 Unavailable For Legal Reasons", b"500 Internal Server Error", b"502 Bad Gateway",
    b"503 Service Unavailable", b"504 Gateway Timeout", b"999 Unknown", b"000 None",
)
_GZIP = b"Content-Encoding: gzip\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"

BEHAVIOURS: dict[str, dict[str, Hostile]] = {
    "status": {
        **{line.decode(): status(line) for line in _STATUSES},
        "a reason with escape codes": status(b"503 " + ESCAPES),
        "404 with escape codes": status(b"404 " + ESCAPES),
        "a reason of 10,000 characters": status(b"404 " + b"long " * 2000),
        "a reason with bytes that are no text": status(b"404 \xff\xfe\x80\x9b2J"),
        "no reason": status(b"500"),
        "a body with escape codes": status(b"404 No", b"Content-Length: 24\r\n", ESCAPES[:24]),
    },
    "what is no HTTP": {
        "nothing, and the end": raw(b""),
        "garbage": raw(bytes(range(256)) * 9),
        "a line without end": raw(b"H" * 200_000),
        "a greeting of SSH": raw(b"SSH-2.0-OpenSSH_9.0\r\n"),
        "TLS": raw(b"\x15\x03\x01\x00\x02\x02\x28"),
        "HTTP/9.9": raw(b"HTTP/9.9 200 OK\r\n\r\n"),
        "a status that is no number": raw(b"HTTP/1.1 abc OK\r\n\r\n"),
        "a negative status": raw(b"HTTP/1.1 -12 OK\r\n\r\n"),
        "escape codes": raw(ESCAPES * 3 + b"\r\n\r\n"),
        "half a status line": raw(b"HTTP/1.1 20"),
        "half a header": raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        "a reset": lambda request: request.reset(),
        "10,000 headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 10_000 + b"\r\n"),
        "a header of a megabyte": raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10**6 + b"\r\n\r\n"),
        "a header without a colon": raw(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
        "silence": silent,
        "headers that trickle in": trickled_headers,
    },
    "redirections": {
        **{where.decode("latin-1").encode("ascii", "backslashreplace").decode(): redirect(where)
           for where in (
               b"ftp://127.0.0.1:PORT/blob", b"file:///etc/passwd", b"data:text/plain,x",
               b"javascript:1", b"/self", b"", b"http://", b"http://127.0.0.1:1/", b"//",
               b"http://127.0.0.1:99999/blob", b"http://[::bad/blob", b"https://127.0.0.1:PORT/b",
               b"http://127.0.0.1:PORT/" + b"a" * 50_000, b"http://\xff\xfe/", b"/blo b",
               b"/blob\x1b[31m", b"http://user:pass@127.0.0.1:PORT/loop", b"/\xe4")},
        "one longer each time": lambda request: redirect(b"/a" * request.number)(request),
        "301": redirect(b"/self", b"301 Moved Permanently"),
        "307": redirect(b"/self", b"307 Temporary Redirect"),
        "308": redirect(b"/self", b"308 Permanent Redirect"),
        "303": redirect(b"/self", b"303 See Other"),
        "300 without a place": status(b"300 Multiple Choices"),
        "302 without a place": status(b"302 Found"),
    },
    "length": {
        "given twice, alike": blob(b"Content-Length: 4\r\nContent-Length: 4\r\n"),
        "given twice, differing": blob(b"Content-Length: 4\r\nContent-Length: 9\r\n"),
        **{value.decode("latin-1"): blob(b"Content-Length: " + value + b"\r\n") for value in (
            b"-1", b"0", b"1", b"abc", b"4, 4", b"+4", b"1e3", b"0x10", b"9" * 30, b"9" * 5000, b"",
            b"\xb2", b"1_000", b" 7 ")},
        "missing": blob(b""),
        "of a petabyte": blob(b"Content-Length: 1000000000000000\r\n"),
        "chunked, rightly": blob(_CHUNKED, chunked),
        "chunked, and a length too": blob(_CHUNKED + b"Content-Length: 3\r\n", chunked),
        "chunks of a wrong size": blob(_CHUNKED, lambda body: b"zz\r\n" + body),
        "chunks of a negative size": blob(_CHUNKED, lambda body: b"-5\r\n" + body),
        "chunks that end early": blob(_CHUNKED, lambda body: chunked(body)[:len(body) // 2]),
        "a chunk of a petabyte": blob(_CHUNKED, lambda body: b"38D7EA4C68000\r\n" + body),
        "compressed": blob(None, lambda body: gzip.compress(body)),
        "compressed, and said": blob(_GZIP, lambda body: gzip.compress(body)),
        "said to be compressed": blob(_GZIP),
    },
    "content": {
        "one bit flipped": blob(None, _flipped),
        "shorter": blob(None, lambda body: body[:-1]),
        "longer": blob(None, lambda body: body + b"x"),
        "zeros": blob(None, lambda body: bytes(len(body))),
        "nothing": blob(None, lambda body: b""),
        "a page": blob(None, lambda body: b"<html>please log in</html>"),
        "a page instead of the redirection": status(b"200 OK", b"", b"<html>log in</html>"),
        "a forged header": blob(None, lambda body: b"\xff" * 8 + body[8:]),
        "a wrong sum announced": lambda request: (
            honest(request) if request.of_blob else _answer(
                request, b"302 Found", b"Location: /blob\r\nX-Linked-Etag: \"" + b"0" * 64
                + b"\"\r\nContent-Length: 0\r\n")),
        "a sum of escape codes": lambda request: (
            blob(None, _flipped)(request) if request.of_blob else _answer(
                request, b"302 Found", b"Location: /blob\r\nX-Linked-Etag: " + ESCAPES
                + b"\r\nContent-Length: 0\r\n")),
        "without length, for ever": endless(b"", b"\0" * 65536),
        "chunked, for ever": endless(_CHUNKED, b"10000\r\n" + b"\0" * 65536 + b"\r\n"),
        "chunk extensions, for ever": endless(
            _CHUNKED, b"10000;" + b"x" * 999 + b"\r\n" + b"a" * 65536 + b"\r\n"),
        "a byte now and then": endless(b"Content-Length: 900000\r\n", b"\0", 0.03),
        "a byte now and then, without length": endless(b"", b"\0", 0.03),
    },
    "breaking off": {
        "at once": breaks(0.0), "at a third": breaks(0.3), "at the end": breaks(0.999),
        "with a reset, at once": breaks(0.0, True),
        "with a reset, in the middle": breaks(0.5, True),
        "twice, then honest": first_then(breaks(0.4), honest, 4),
        "then another content": first_then(breaks(0.4), blob(None, _flipped)),
        "then a page": first_then(breaks(0.4), status(b"200 OK", b"", b"<html></html>")),
        "then 404": first_then(breaks(0.4), status(b"404 Not Found")),
        "then 416": first_then(breaks(0.4), status(b"416 Range Not Satisfiable")),
        "then silence": first_then(breaks(0.4), silent),
    },
    "ranges": {
        "a part from elsewhere": another_range(-100), "a part from further on": another_range(100),
        "a part of another size": another_range(0, 1000),
        "all of it as 206": blob(None, line=b"206 Partial Content"),
        "all of it as 200": blob(None),
        "a range of nonsense": blob(b"Content-Range: bytes x-y/z\r\n", line=b"206 Partial Content"),
        "a negative range": blob(b"Content-Range: bytes -5-1/3\r\n", line=b"206 Partial Content"),
        "416 with another size": status(
            b"416 Range Not Satisfiable", b"Content-Range: bytes */7\r\nContent-Length: 0\r\n"),
        "416 with nonsense": status(
            b"416 Range Not Satisfiable", b"Content-Range: " + ESCAPES + b"\r\n\r\n"),
    },
}
