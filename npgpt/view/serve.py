"""The page served on this machine, with numbers computed as they are asked for.

The server answers on the loopback interface only, and only to a request whose Host header names
it there: another site's page that reaches it by a name of its own is rejected, and so is a form,
since a body must be JSON. It serves the page and three questions, and no file. Requests are
answered one at a time; a connection that stays silent is closed and blocks nobody.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, TypedDict

from ..documents import check_type, parse_json
from ..generation.sampling import Sampling
from ..ids import check_integer
from ..suggest import one_line, unknown
from .encoding import Json, written
from .entries import worked
from .generation import generation
from .html import page
from .payload import Subject, Window, payload
from .tracing import Traced, traced

MOST_BYTES = 2**16
MOST_TOKENS = 64
SECONDS = 10


class _Text(TypedDict):
    text: str


class _Generate(_Text):
    tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int


class _Cell(_Text):
    entry: str
    index: list[int]


@dataclass
class Answers:
    """What the server knows: the model, the page of its first text, and that one's trace."""

    subject: Subject
    length: int
    exact: bool
    first: Json
    first_seen: Traced
    last: tuple[str, Traced] | None = None
    """The text that was traced last, and its trace."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self) -> str:
        """The page of the text that the server was started with."""
        return page(self.first, live=True)

    def trace(self, body: Json) -> Json:
        """A whole payload for another text."""
        window = self._window(check_type(body, _Text, "the request")["text"])
        new, seen = payload(self.subject, window, exact=self.exact, live=True,
                            command=self.first["meta"]["command"])
        self.last = new["meta"]["input"], seen
        return new

    def generate(self, body: Json) -> Json:
        """Tokens after a text, with what each was chosen from."""
        asked = check_type(body, _Generate, "the request")
        sampling = Sampling(asked["temperature"], asked["top_k"] or None, asked["top_p"])
        count = check_integer("tokens", asked["tokens"], 1, MOST_TOKENS)
        ids = self.subject.tokenizer.encode(asked["text"])
        if not len(ids):
            raise ValueError("expected a text of at least one token; got none")
        ids = ids[-self.subject.config.n_positions:]
        found = generation(self.subject.params, self.subject.config, self.subject.tokenizer, ids,
                           count, sampling, asked["seed"])
        return {"generation": found, "text": found["text"]}

    def cell(self, body: Json) -> Json:
        """One cell of a text's trace: value and gradient, and the terms of a product of matrices.
        """
        asked = check_type(body, _Cell, "the request")
        steps = self._seen(asked["text"]).steps
        if asked["entry"] not in steps:
            raise unknown("entry", asked["entry"], steps)
        one = steps[asked["entry"]]
        index = asked["index"]
        # as the page names it, with the batch
        if len(index) == 3 and index[0] == 0:
            index = index[1:]
        if len(index) != 2 or one.out.ndim != 3:
            raise ValueError(f"expected the entry of a sequence and an index [position, channel] "
                             f"or [0, position, channel]; got {asked['entry']} and "
                             f"{asked['index']}")
        return worked(one, (index[0], index[1]))

    def _seen(self, text: str) -> Traced:
        """The trace of a page's text: the first page's, the last one's, or a new one."""
        if text == self.first["meta"]["input"]:
            return self.first_seen
        if self.last is None or text != self.last[0]:
            window = self._window(text)
            self.last = text, traced(self.subject.params, window.ids[None], window.targets[None],
                                     self.subject.config)
        return self.last[1]

    def _window(self, text: str) -> Window:
        return Window.of(self.subject.tokenizer.encode(text), self.length, "as typed")


class Server(ThreadingHTTPServer):
    """The server of one model; `port` 0 takes a free one."""

    daemon_threads = True

    def __init__(self, answers: Answers, port: int = 0) -> None:
        self.answers = answers
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: object) -> None:
        """Say nothing of a client that went away; of anything else as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return f"http://127.0.0.1:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """The names that a request may have reached it by."""
        return {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}


class _Rejected(Exception):
    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = SECONDS
    server_version, sys_version = "npgpt", ""

    def do_GET(self) -> None:
        """The page."""
        self._answer(self._page)

    def do_POST(self) -> None:
        """An answer to a question."""
        self._answer(self._question)

    def _page(self) -> tuple[str, str]:
        if self.path != "/":
            raise _Rejected(HTTPStatus.NOT_FOUND, "expected /, which is all that there is")
        return self.server.answers.page(), "text/html; charset=utf-8"

    def _question(self) -> tuple[str, str]:
        answers = self.server.answers
        asked = {"/trace": answers.trace, "/generate": answers.generate,
                 "/cell": answers.cell}.get(self.path)
        if asked is None:
            raise _Rejected(HTTPStatus.NOT_FOUND, "expected /trace, /generate or /cell")
        body = parse_json(self._body(), "the request")
        # not around the reading, which may wait for a client that sends nothing
        with answers.lock:
            found = asked(body)
        # numbers of a cell are exact, and so are those of a page that was asked to be
        return written(found, exact=answers.exact or self.path == "/cell"), "application/json"

    def _body(self) -> bytes:
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise _Rejected(HTTPStatus.FORBIDDEN, "this server answers its own page only")
        if self.headers.get_content_type() != "application/json":
            raise _Rejected(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _Rejected(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise _Rejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                            f"expected a body of at most {MOST_BYTES:,} bytes")
        return self.rfile.read(int(length))

    def _answer(self, find: Callable[[], tuple[str, str]]) -> None:
        status, kind = HTTPStatus.OK, "application/json"
        try:
            if self.headers.get("Host") not in self.server.hosts:
                raise _Rejected(HTTPStatus.FORBIDDEN, f"expected the address {self.server.url}")
            text, kind = find()
        except _Rejected as rejected:
            status, text = rejected.status, written({"error": str(rejected)})
        except (ValueError, MemoryError) as error:
            status, text = HTTPStatus.BAD_REQUEST, written({"error": one_line(str(error))})
        self._send(status, text, kind)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library rejects, said as everything else is."""
        unknown_method = code == HTTPStatus.NOT_IMPLEMENTED
        self._send(HTTPStatus(code), written({
            "error": "expected GET or POST" if unknown_method else message
            or HTTPStatus(code).phrase}), "application/json")

    def _send(self, status: HTTPStatus, text: str, kind: str) -> None:
        content = text.encode("utf-8")
        self.send_response(status)
        for name, value in (
                ("Content-Type", kind), ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"), ("Connection", "close"),
                ("Cross-Origin-Resource-Policy", "same-origin"), ("X-Frame-Options", "DENY")):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a terminal is for what the user asked for."""
