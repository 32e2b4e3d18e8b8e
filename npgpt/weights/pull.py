"""Download the published weights: resumable, verified by sha256, stored in a cache.

One file is downloaded, model.safetensors, at a fixed revision; config.json is written from what is
known about the four sizes. HF_ENDPOINT names another server with the same paths, HF_HOME the cache,
HF_HUB_OFFLINE=1 forbids the network.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, BinaryIO, Callable, Iterator

from ..config import GPT2Config
from ..files import LOCK_FILE, flush_to_disk, locked, replacing_file
from ..params import parameter_shapes
from .assemble import mismatches
from .cache import WEIGHTS, cached, own_folder
from .configs import write_config
from .errors import CheckpointError, bad_file
from .huggingface import canonical
from .safetensors_file import read_safetensors
from .writing import check_room

ENDPOINT = "https://huggingface.co"
CONFIG = "config.json"
UNFINISHED = ".unfinished"
BLOCK = 2**20
TIMEOUT = 30.0
# seconds before each retry after a broken connection; any progress starts the list again
PAUSES = (1.0, 2.0, 4.0, 8.0)

# what the publisher's servers have at these revisions; medium and large are verified by the sha256
# that the server itself announces; names and shapes of the tensors are checked for every size
REVISIONS = {
    "gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e",
    "gpt2-medium": "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
    "gpt2-large": "32b71b12589c2f8d625668d2335a01cac3249519",
    "gpt2-xl": "15ea56dee5df4983c59b2538573817e1667135e2",
}
SHA256 = {
    "gpt2": "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
    "gpt2-xl": "0f8b28eb05a8075f48b61b6f35332978c74fc7763fa9fb4051a1c30511736a6a",
}

# (bytes so far, bytes in total or 0 if not known yet)
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Pulled:
    """What `pull` found or downloaded."""

    folder: Path
    """Contains model.safetensors and, if npgpt downloaded it, config.json."""
    sha256: str
    checked_against: str
    """Whose sha256 it equals: "npgpt", "the server", or "" if neither gave one."""
    fetched: bool


def weights_url(name: str) -> str:
    """The address of a published size; ValueError if HF_ENDPOINT is set and not an address."""
    endpoint = (os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
    if not re.match(r"https?://[^/\s]", endpoint):
        raise ValueError(
            f"HF_ENDPOINT={endpoint!r}: expected a web address like {ENDPOINT}; or unset it"
        )
    return f"{endpoint}/openai-community/{name}/resolve/{REVISIONS[name]}/{WEIGHTS}"


def pull(
    name: str,
    folder: Path | str | None = None,
    report: Report = lambda done, total: None,
    pauses: tuple[float, ...] = PAUSES,
) -> Pulled:
    """Make a published size available in `folder` (default: the cache).

    What is there already is only verified. The next call resumes an interrupted download; one that
    brought nothing leaves nothing behind. Raises ValueError for an unknown name and for a folder
    that another process uses, CheckpointError if the sha256 differs or the file is of another
    model (it is deleted), OSError with one line of advice if the server cannot be reached.
    """
    config = GPT2Config.named(name)
    target = own_folder(name) if folder is None else Path(folder)
    if (target / WEIGHTS).is_file():
        return _checked(name, target, report)
    hub = cached(name) if folder is None else None
    if hub is not None:
        try:
            return _checked(name, hub, report)
        except CheckpointError:
            pass            # another revision, downloaded by transformers: left alone, not used
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise OSError(
            f"HF_HUB_OFFLINE is set; unset it, or place {weights_url(name)} as {target / WEIGHTS}"
        )
    url = weights_url(name)
    partial = target / (WEIGHTS + UNFINISHED)
    with _made(target), _opened(partial) as file:
        if (target / WEIGHTS).is_file():     # another pull has finished in the meantime
            return _checked(name, target, report)
        fetch = _Fetch(url, file, report)
        try:
            fetch.run(pauses)
        except (OSError, HTTPException) as error:
            raise _advice(target, fetch, error) from error
        file.flush()
        try:
            _check_arrived(name, target / WEIGHTS, partial, fetch)
        except CheckpointError:
            partial.unlink()
            raise
        with replacing_file(target / CONFIG) as beside:
            write_config(beside, config)
        flush_to_disk(partial)
        os.replace(partial, target / WEIGHTS)
    return Pulled(target, fetch.sha256, _whose(name, fetch.announced), True)


def _check_arrived(name: str, weights: Path, partial: Path, fetch: _Fetch) -> None:
    expected = SHA256.get(name) or fetch.announced
    if expected and fetch.sha256 != expected:
        raise bad_file(
            weights, f"expected sha256 {expected}, got {fetch.sha256}; the download was deleted, "
            "the same command starts again"
        )
    # it may be a page that asks for a login, or another model
    problems = _not_of_size(name, partial)
    if problems:
        raise bad_file(weights, f"the download is not {name} and was deleted", *problems)


def _not_of_size(name: str, file: Path) -> list[str]:
    """How the tensors of a file differ from those of a published size; [] if they do not."""
    tensors = canonical(file, read_safetensors(file))
    head, table = tensors.get("lm_head.weight"), tensors.get("wte.weight")
    if head is not None and table is not None and head.shape == table.shape:
        del tensors["lm_head.weight"]           # a copy of the token table
    return mismatches(parameter_shapes(GPT2Config.named(name)), tensors)


def _checked(name: str, folder: Path, report: Report) -> Pulled:
    """Weights that are there already, verified by their sha256 if it is known."""
    path, expected = folder / WEIGHTS, SHA256.get(name)
    if expected is None:
        problems = _not_of_size(name, path)
        if problems:
            raise bad_file(path, f"is not {name}; delete it and pull again", *problems)
        return Pulled(folder, "", "", False)
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            report(done, total)
    if digest.hexdigest() != expected:
        raise bad_file(
            path, f"expected sha256 {expected}, got {digest.hexdigest()}; delete it and pull again"
        )
    return Pulled(folder, expected, "npgpt", False)


def _whose(name: str, announced: str) -> str:
    return "npgpt" if name in SHA256 else "the server" if announced else ""


class _Fetch:
    """One download into an open file, which may contain its beginning."""

    def __init__(self, url: str, file: BinaryIO, report: Report) -> None:
        self.url, self.file, self.report = url, file, report
        self.total = 0
        self.announced = ""
        self._digest = hashlib.sha256()
        self.done = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def run(self, pauses: tuple[float, ...]) -> None:
        """Download to the end; after a broken connection, resume."""
        self._take_up()
        left = list(pauses)
        while True:
            before = self.done
            try:
                self._attempt()
                return
            except (OSError, HTTPException) as error:
                if self.done > before:
                    left = list(pauses)
                if not left or not _may_pass(error):
                    raise
                time.sleep(left.pop(0))

    def _take_up(self) -> None:
        """Read what an earlier call downloaded."""
        self.file.seek(0)
        while block := self.file.read(BLOCK):
            self._digest.update(block)
            self.done += len(block)

    def _start_over(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self._digest = hashlib.sha256()
        self.done = 0

    def _attempt(self) -> None:
        # no compression: the offsets are those of the file itself
        headers = {"User-Agent": "npgpt", "Accept-Encoding": "identity"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
        links = _Links()
        request = urllib.request.Request(self.url, headers=headers)
        try:
            reply = urllib.request.build_opener(links).open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != 416 or not self.done:
                raise
            # nothing follows what is there: it is complete, or longer than the file
            self._note(links, error.headers)
            if error.headers.get("Content-Range") != f"bytes */{self.done}":
                self._start_over()
                self._attempt()
            return
        with reply:
            self._note(links, reply.headers)
            if reply.status != 206 or _range_start(reply.headers) != self.done:
                self._start_over()
            length = int(reply.headers.get("Content-Length") or 0)
            self.total = self.done + length if length else 0
            check_room(Path(self.file.name).parent, length)
            while block := reply.read(BLOCK):
                self.file.write(block)
                self._digest.update(block)
                self.done += len(block)
                self.report(self.done, self.total)
        self.file.flush()
        if self.done < self.total:
            raise ConnectionError("the connection broke")

    def _note(self, links: _Links, headers: Message) -> None:
        """Note the sha256 that the server announces, if it does, as the file's ETag."""
        for name in ("X-Linked-Etag", "ETag"):
            for seen in (*links.seen, headers):
                etag = (seen.get(name) or "").removeprefix("W/").strip('"').lower()
                if re.fullmatch(r"[0-9a-f]{64}", etag):
                    self.announced = etag
                    return


class _Links(urllib.request.HTTPRedirectHandler):
    """Follows redirections and collects their headers: the sha256 is in the first."""

    def __init__(self) -> None:
        self.seen: list[Message] = []

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: HTTPMessage, newurl: str,
    ) -> urllib.request.Request | None:
        self.seen.append(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _range_start(headers: Message) -> int:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range") or "")
    return int(match[1]) if match else -1


def _may_pass(error: Exception) -> bool:
    """Whether a retry can help: a broken connection or a busy server, not a full disk."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in (408, 429) or error.code >= 500
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, (ConnectionError, TimeoutError, HTTPException)) and not isinstance(
        cause, ConnectionRefusedError
    )


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder and hold it; if the work fails, empty folders that were made are removed."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            try:
                yield
            finally:
                with suppress(OSError):
                    (folder / LOCK_FILE).unlink()
    except BaseException:
        with suppress(OSError):
            for place in new:
                place.rmdir()
        raise


@contextmanager
def _opened(partial: Path) -> Iterator[BinaryIO]:
    """The unfinished file, open for reading and appending; deleted if nothing was written to it."""
    with partial.open("a+b") as file:
        try:
            yield file
        finally:
            with suppress(OSError):
                file.flush()
                if partial.stat().st_size == 0:
                    partial.unlink()


def _advice(folder: Path, fetch: _Fetch, error: Exception) -> OSError:
    """One line: what failed, and what to do."""
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return error                 # the disk, not the network
    reason = getattr(error, "reason", None) or error
    reason = f"{error.code} {reason}" if isinstance(error, urllib.error.HTTPError) else reason
    if fetch.done:
        of = f" of {fetch.total / 2**20:.0f}" if fetch.total else ""
        return OSError(
            f"{fetch.url}: {reason}; {fetch.done / 2**20:.0f}{of} MiB are downloaded, the same "
            "command resumes"
        )
    return OSError(
        f"{fetch.url} cannot be downloaded ({reason}); set HF_ENDPOINT to a server that can be "
        f"reached, or place the file as {folder / WEIGHTS}"
    )
