"""One file over HTTP: resumed where it broke off, and distrustful of the server.

What a server says is checked before a byte is written: the status, the length in both places where
it may stand, the range, the encoding, and where it redirects to. An answer that trickles or never
ends is given up, so that every download comes to an end.
"""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Callable

from ..files import check_room
from ..suggest import shown

BLOCK = 2**20
# seconds without a byte, for all headers of an answer, and in which SLOWEST bytes a second arrive
TIMEOUT = 30.0
PATIENCE = 120.0
WINDOW = 60.0
SLOWEST = 1024

# (bytes so far, bytes in total or 0 if not known yet)
Report = Callable[[int, int], None]


def download(
    url: str, partial: Path, most: int, report: Report, pauses: tuple[float, ...]
) -> str:
    """Download to the end of a file that may hold the beginning; resume a broken connection.

    Waits for each of `pauses` before a retry; real progress starts them again. Returns the sha256
    that the server announces, or "". Raises OSError or HTTPException for what no retry repairs and
    for more than `most` bytes, ValueError for an invalid address.
    """
    left = list(pauses)
    while True:
        before = size(partial)
        try:
            return _attempt(url, partial, most, report)
        except (OSError, HTTPException) as error:
            # fewer bytes are no progress: they could go on for ever
            if size(partial) - before >= SLOWEST * WINDOW:
                left = list(pauses)
            if not left or not _may_pass(error):
                raise
            time.sleep(left.pop(0))


def size(path: Path) -> int:
    """The size of a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, partial: Path, most: int, report: Report) -> str:
    links = _Links()
    with partial.open("ab") as file:
        done = file.tell()
        # no compression: the offsets are those of the file itself
        headers = {"User-Agent": "npgpt", "Accept-Encoding": "identity"}
        if done:
            headers["Range"] = f"bytes={done}-"
        request = urllib.request.Request(url, headers=headers)
        try:
            reply = _answer(urllib.request.build_opener(links), request)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 416 or not done:
                raise
            # nothing follows what is there: it is complete, or longer than the file
            if error.headers.get("Content-Range") == f"bytes */{done}":
                return _announced(*links.seen, error.headers)
            file.truncate(0)
            return _attempt(url, partial, most, report)
        with reply:
            length = _length(reply.headers)
            if reply.status == 206:
                total = _end_of_range(reply.headers, done, length)
                if total is None and done:      # another part than the one asked for: from scratch
                    file.truncate(0)
                    return _attempt(url, partial, most, report)
            else:
                file.truncate(0)
                done, total = 0, length
            if total is None or reply.status not in (200, 206):
                raise OSError(f"the server answers {reply.status} with a range that was not asked "
                              f"for: {shown(reply.headers.get('Content-Range'))}")
            encoding = reply.headers.get("Content-Encoding") or "identity"
            if encoding.lower() != "identity":
                raise OSError(f"the server sends the file encoded as {shown(encoding)}")
            if total > most:
                raise OSError(f"the server announces {total:,} bytes; expected at most {most:,}")
            check_room(partial.parent, total - done if total else 0)
            pace = _Pace()
            # one byte more than `most` is enough to know
            while block := reply.read1(min(BLOCK, (total or most + 1) - done)):
                file.write(block)
                done += len(block)
                report(done, total)
                pace.add(len(block))
                if done == total:
                    break
                if done > most:
                    raise OSError(f"the server does not stop after {most:,} bytes")
    if done < total:
        raise ConnectionError(f"the connection broke before {total / 2**20:.0f} MiB")
    return _announced(*links.seen, reply.headers)


def _answer(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> HTTPResponse:
    """The reply with its headers; TimeoutError if they do not come within PATIENCE."""
    answers: SimpleQueue[HTTPResponse | BaseException] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(opener.open(request, timeout=TIMEOUT))
        except BaseException as error:      # raised where it was asked for
            answers.put(error)

    # the timeout of a socket begins again with every byte, so the wait is on a thread
    Thread(target=ask, daemon=True, name="npgpt download").start()
    try:
        answer = answers.get(timeout=PATIENCE)
    except Empty:
        raise TimeoutError(f"no complete answer within {PATIENCE:.0f} seconds") from None
    try:
        if isinstance(answer, BaseException):
            raise answer
        return answer
    finally:
        del answer      # which would hold its own traceback, and that the connection


def _length(headers: Message) -> int:
    """Content-Length, 0 if there is none; OSError if it is no number, or several."""
    given = headers.get_all("Content-Length") or []
    # several equal ones are allowed, as lines or in one (RFC 9110, 8.6)
    values = {value.strip() for line in given for value in line.split(",")}
    if not values:
        return 0
    value = values.pop()
    if values or not re.fullmatch(r"[0-9]{1,18}", value):
        raise OSError(f"the server's Content-Length is {shown(', '.join(given))}")
    return int(value)


def _end_of_range(headers: Message, start: int, length: int) -> int | None:
    """The size of the file by Content-Range, 0 if unknown; None unless it begins at `start`."""
    found = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)",
                         headers.get("Content-Range") or "")
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    total = last + 1 if found[3] == "*" else int(found[3])
    fits = first == start and first <= last and total == last + 1
    return total if fits and length in (0, last + 1 - first) else None


class _Pace:
    """Raises TimeoutError where less than SLOWEST bytes a second arrive in a WINDOW."""

    def __init__(self) -> None:
        self._since, self._bytes = time.monotonic(), 0

    def add(self, count: int) -> None:
        """So many bytes have arrived."""
        self._bytes += count
        now = time.monotonic()
        if now - self._since >= WINDOW:
            if self._bytes < SLOWEST * WINDOW:
                raise TimeoutError(f"{self._bytes:,} bytes in {now - self._since:.0f} seconds")
            self._since, self._bytes = now, 0


def _announced(*headers: Message) -> str:
    """The sha256 that the server announces as the file's ETag, or ""."""
    for name in ("X-Linked-Etag", "ETag"):
        for seen in headers:
            etag = (seen.get(name) or "").removeprefix("W/").strip('"').lower()
            if re.fullmatch(r"[0-9a-f]{64}", etag):
                return etag
    return ""


class _Links(urllib.request.HTTPRedirectHandler):
    """Follows redirections and collects their headers: the sha256 is in the first."""

    def __init__(self) -> None:
        self.seen: list[Message] = []

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: HTTPMessage,
    ) -> HTTPResponse | None:
        """Go where an answer says; its connection is closed where that is nowhere."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except BaseException:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: HTTPMessage, newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https" and (scheme != "http" or req.type == "https"):
            raise urllib.error.HTTPError(
                req.full_url, code, f"redirects from {req.type} to {scheme}", headers, fp)
        self.seen.append(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _may_pass(error: Exception) -> bool:
    """Whether a retry can help: a broken connection or a busy server, not a full disk."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in (408, 429) or error.code >= 500
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, (ConnectionError, TimeoutError, HTTPException)) and not isinstance(
        cause, ConnectionRefusedError
    )
