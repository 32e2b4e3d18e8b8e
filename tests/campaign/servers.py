"""Hostile servers: `npgpt pull` from servers that lie, break off, trickle, redirect, never end.

After each, the file is there and verified, or one line says why not and nothing is there that could
be taken for it; and a pull from an honest server then ends well.
"""

from __future__ import annotations

import hashlib
import select
import shutil
import socketserver
import struct
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from socket import MSG_PEEK, SO_LINGER, SOL_SOCKET
from typing import Iterator

import pytest

from npgpt.config import SIZES, GPT2Config

from ..weights.conftest import filled
from ..weights.hub import SERVED
from ..weights.raw import write_raw
from .behaviours import BEHAVIOURS, ENOUGH, Hostile, Request, honest
from .nursery import Ended, Nursery
from .outcome import Outcome, fault_of_command

FILE = "model.safetensors"
# seconds that a client waits for the next byte: short where it waits in vain
SHORT, LONG = "0.5", "30"
WAITING = ("silence", "now and then", "for ever", "trickle", "https:")


class Server(socketserver.ThreadingTCPServer):
    """Answers every request as the behaviour of the moment says."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.body, self.sha256 = body, hashlib.sha256(body).hexdigest()
        self.behave: Hostile = honest
        self.requests = 0
        self.case = 0
        self.patient = 0
        """The last case in which a client read on where no client should."""

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone is no fault of the server's."""


class Connection(socketserver.StreamRequestHandler):
    """One connection, which is closed after one answer."""

    server: Server

    def handle(self) -> None:
        lines = []
        while (line := self.rfile.readline(65536).strip()):
            lines.append(line.decode("latin-1"))
        if not lines:
            return
        self.server.requests += 1
        path = lines[0].split()[1]
        headers = {key.lower(): value.strip()
                   for key, _, value in (line.partition(":") for line in lines[1:])}
        asked = headers.get("range", "")
        start = int(asked[6:].rstrip("-")) if asked.startswith("bytes=") else None
        if self.server.patient == self.server.case:
            return              # enough was seen, and the case should end
        self.server.behave(Request(
            path, start, self.server.requests, self.server.body, self.server.sha256,
            self.wfile.write, self.reset, self.patience, self.server.server_address[1]))

    def reset(self) -> None:
        """Close with a reset instead of an end."""
        self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def gone(self) -> bool:
        """Whether the client has closed the connection: it sends nothing more otherwise."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        return not self.connection.recv(1, MSG_PEEK)

    def patience(self, piece: bytes, pause: float) -> None:
        """Send a piece again and again until the client leaves, or has waited far too long."""
        sent, case = 0, self.server.case
        try:
            for _ in range(ENOUGH):
                if self.gone():
                    return
                self.wfile.write(piece)
                sent += len(piece)
                if sent > 8 * len(self.server.body):
                    break
                time.sleep(pause)
        except OSError:
            return
        self.server.patient = case


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server of a small model that is gpt2 to the commands of this kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "gpt2", {**SERVED, "n_embd": 4})
        write_raw(folder / "served", filled(GPT2Config.named("gpt2")))
    with Server((folder / "served").read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(count: int, scratch: Path) -> Iterator[Outcome]:
    """At most `count` behaviours of each group, each from the beginning and after half of it."""
    with Nursery() as nursery, serving(scratch) as server:
        for group, behaviours in BEHAVIOURS.items():
            for name, behave in list(behaviours.items())[:count]:
                for half in (False, True):
                    words = f"{name}, {'after half of it' if half else 'from the beginning'}"
                    timeout = SHORT if any(word in name for word in WAITING) else LONG
                    yield Outcome(group, words,
                                  _case(nursery, scratch, server, behave, half, timeout))


def _case(
    nursery: Nursery, scratch: Path, server: Server, behave: Hostile, half: bool, timeout: str
) -> str:
    folder = scratch / "pull"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "to").mkdir(parents=True)
    if half:
        (folder / "to" / f"{FILE}.unfinished").write_bytes(server.body[:len(server.body) // 2])
    server.behave, server.requests, server.case = behave, 0, server.case + 1
    ended = _pull(nursery, folder, server, timeout)
    if server.patient == server.case:
        return "it reads on for ever"
    fault = fault_of_command(ended.code, ended.err, (0, 2, 3)) or _fault(ended, folder, server)
    if fault:
        return fault
    server.behave = honest
    ended = _pull(nursery, folder, server)
    if ended.code == 3 and "starts again" in ended.err:
        ended = _pull(nursery, folder, server)
    if ended.code:
        return f"an honest server no longer helps: {ended.err.strip()[-120:]}"
    return _fault(ended, folder, server)


def _pull(nursery: Nursery, folder: Path, server: Server, timeout: str = LONG) -> Ended:
    served = {"endpoint": f"http://127.0.0.1:{server.server_address[1]}", "sha256": server.sha256,
              "n_embd": "4", "timeout": timeout}
    return nursery.run(["pull", "gpt2", "--to", "to"], folder, served=served)


def _fault(ended: Ended, folder: Path, server: Server) -> str:
    file = folder / "to" / FILE
    if file.exists() and file.read_bytes() != server.body:
        return "another content is taken for the model"
    if (ended.code == 0) != file.is_file():
        return f"exit code {ended.code}, and the file is {'' if file.is_file() else 'not '}there"
    return ""
