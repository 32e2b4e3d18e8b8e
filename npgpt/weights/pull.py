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
from dataclasses import dataclass, replace
from email.message import Message
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Callable, Iterator

from ..config import GPT2Config
from ..files import LOCK_FILE, check_room, flush_to_disk, locked, replacing_file
from ..params import parameter_shapes
from .assemble import mismatches
from .checksums import write_checksums
from .configs import CONFIG, write_config
from .errors import CheckpointError, bad_file
from .huggingface import WEIGHTS, canonical
from .reading import cached, own_folder
from .safetensors_file import read_safetensors

ENDPOINT = "https://huggingface.co"
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
    weights = target / WEIGHTS
    if weights.is_file():
        return _checked(name, weights, report)
    hub = cached(name) if folder is None else None
    if hub is not None:
        try:
            return _checked(name, hub / WEIGHTS, report)
        except CheckpointError:
            pass            # another revision, downloaded by transformers: left alone, not used
    url = weights_url(name)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise OSError(f"HF_HUB_OFFLINE is set; unset it, or place {url} as {weights}")
    partial = target / (WEIGHTS + UNFINISHED)
    with _made(target, partial):
        if weights.is_file():     # another pull has finished in the meantime
            return _checked(name, weights, report)
        try:
            announced = _download(url, partial, report, pauses)
        except (OSError, HTTPException) as error:
            raise _advice(url, weights, partial, error) from error
        try:
            # it may be a page that asks for a login, or another model
            pulled = _examined(name, partial, announced)
        except CheckpointError as error:
            partial.unlink()
            raise CheckpointError(
                f"{error}; it was deleted, the same command starts again") from None
        with replacing_file(target / CONFIG) as beside:
            write_config(beside, config)
        write_checksums(
            target, {WEIGHTS: {"bytes": _size(partial), "sha256": pulled.sha256}})
        flush_to_disk(partial)
        os.replace(partial, weights)
    return replace(pulled, fetched=True)


def _checked(name: str, weights: Path, report: Report) -> Pulled:
    """Weights that are there already, examined."""
    try:
        return _examined(name, weights, report=report)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; delete it and pull again") from None


def _examined(
    name: str, file: Path, announced: str = "", report: Report = lambda done, total: None
) -> Pulled:
    """What a file is, by its sha256, and by its tensors where npgpt does not know that.

    Raises CheckpointError if it is not the published size.
    """
    digest, expected = _sha256(file, report), SHA256.get(name) or announced
    if expected and digest != expected:
        raise bad_file(file, f"is not {name}: expected sha256 {expected}, got {digest}")
    if name not in SHA256:
        tensors = canonical(file, read_safetensors(file))
        head, table = tensors.get("lm_head.weight"), tensors.get("wte.weight")
        if head is not None and table is not None and head.shape == table.shape:
            del tensors["lm_head.weight"]           # a copy of the token table
        problems = mismatches(parameter_shapes(GPT2Config.named(name)), tensors)
        if problems:
            raise bad_file(file, f"is not {name}", *problems)
    whose = "npgpt" if name in SHA256 else "the server" if announced else ""
    return Pulled(file.parent, digest, whose, False)


def _sha256(path: Path, report: Report) -> str:
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            report(done, total)
    return digest.hexdigest()


def _download(url: str, partial: Path, report: Report, pauses: tuple[float, ...]) -> str:
    """Download to the end of a file that may hold the beginning; resume a broken connection.

    Returns the sha256 that the server announces, or "".
    """
    left = list(pauses)
    while True:
        before = _size(partial)
        try:
            return _attempt(url, partial, report)
        except (OSError, HTTPException) as error:
            if _size(partial) > before:
                left = list(pauses)
            if not left or not _may_pass(error):
                raise
            time.sleep(left.pop(0))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, partial: Path, report: Report) -> str:
    links = _Links()
    with partial.open("ab") as file:
        done = file.tell()
        # no compression: the offsets are those of the file itself
        headers = {"User-Agent": "npgpt", "Accept-Encoding": "identity"}
        if done:
            headers["Range"] = f"bytes={done}-"
        request = urllib.request.Request(url, headers=headers)
        try:
            reply = urllib.request.build_opener(links).open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != 416 or not done:
                raise
            # nothing follows what is there: it is complete, or longer than the file
            if error.headers.get("Content-Range") == f"bytes */{done}":
                return _announced(*links.seen, error.headers)
            file.truncate(0)
            return _attempt(url, partial, report)
        with reply:
            continues = (reply.headers.get("Content-Range") or "").startswith(f"bytes {done}-")
            if reply.status != 206 or not continues:
                file.truncate(0)
                done = 0
            length = int(reply.headers.get("Content-Length") or 0)
            total = done + length if length else 0
            check_room(partial.parent, length)
            while block := reply.read(BLOCK):
                file.write(block)
                done += len(block)
                report(done, total)
    if done < total:
        raise ConnectionError(f"the connection broke before {total / 2**20:.0f} MiB")
    return _announced(*links.seen, reply.headers)


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

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: HTTPMessage, newurl: str,
    ) -> urllib.request.Request | None:
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


@contextmanager
def _made(folder: Path, partial: Path) -> Iterator[None]:
    """Make a folder and hold it; afterwards an empty download is removed.

    If the work fails, empty folders that were made are removed too.
    """
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            try:
                yield
            finally:
                with suppress(OSError):
                    (folder / LOCK_FILE).unlink(missing_ok=True)
                    if not _size(partial):
                        partial.unlink(missing_ok=True)
    except BaseException:
        with suppress(OSError):
            for place in new:
                place.rmdir()
        raise


def _advice(url: str, weights: Path, partial: Path, error: Exception) -> Exception:
    """One line: what failed, and what to do."""
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return error                 # the disk, not the network
    reason = getattr(error, "reason", None) or error
    reason = f"{error.code} {reason}" if isinstance(error, urllib.error.HTTPError) else reason
    advice = f"set HF_ENDPOINT to a server that can be reached, or place the file as {weights}"
    if done := _size(partial):
        advice = f"{done / 2**20:.0f} MiB are downloaded, the same command resumes"
    return OSError(f"{url} cannot be downloaded ({reason}); {advice}")
