"""A real server on this machine, which breaks off, redirects and lies on demand."""

from __future__ import annotations

import hashlib
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest

from npgpt.config import SIZES, GPT2Config
from npgpt.weights import pull as pulling

from .conftest import filled
from .raw import write_raw

# all sizes that are served have this shape, so that a file of one has four megabytes
SERVED = {"n_layer": 1, "n_head": 2, "n_embd": 20}


class Hub(ThreadingHTTPServer):
    """Serves one file as Hugging Face does: a redirection with its sha256, then the bytes."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.announced = hashlib.sha256(body).hexdigest()
        self.break_after: list[int] = []     # bytes to send of the next replies
        self.busy = 0                        # how many replies are 503 first
        self.ranges = True
        self.hold_after: int | None = None   # send so many bytes, then nothing more
        self.holding = False
        self.asked: list[tuple[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.server
        wanted = self.headers.get("Range") or ""
        hub.asked.append((self.path, wanted))
        if hub.busy:
            hub.busy -= 1
            self.send_error(503)
        elif "/resolve/" in self.path and "gpt2" in self.path:
            self.send_response(302)
            self.send_header("Location", "/blob")
            if hub.announced:
                self.send_header("X-Linked-Etag", f'"{hub.announced}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/blob":
            self.blob(int(wanted[6:-1]) if wanted and hub.ranges else 0, bool(wanted))
        else:
            self.send_error(404)

    def blob(self, start: int, ranged: bool) -> None:
        hub = self.server
        if start >= len(hub.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(hub.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if ranged and hub.ranges else 200)
        if ranged and hub.ranges:
            end = len(hub.body) - 1
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(hub.body)}")
        self.send_header("Content-Length", str(len(hub.body) - start))
        self.end_headers()
        if hub.hold_after is not None:
            self.wfile.write(hub.body[start:start + hub.hold_after])
            self.wfile.flush()
            hub.holding = True
            while self.connection.recv(1):       # until the client is gone
                pass
            self.close_connection = True
        elif hub.break_after:
            self.wfile.write(hub.body[start:start + hub.break_after.pop(0)])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(hub.body[start:])


@contextmanager
def serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server of four megabytes that are gpt2's as far as npgpt knows; an empty cache."""
    for name in ("gpt2", "gpt2-medium", "gpt2-large"):
        monkeypatch.setitem(SIZES, name, SERVED)
    write_raw(folder / "served", filled(GPT2Config.named("gpt2")))
    server = Hub((folder / "served").read_bytes())
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("HF_HOME", str(folder / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(pulling.SHA256, "gpt2", hashlib.sha256(server.body).hexdigest())
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
