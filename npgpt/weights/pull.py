"""Download the published weights: resumable, verified by sha256, stored in a cache.

One file is downloaded, model.safetensors, at a fixed revision; config.json is written from what is
known about the four sizes. HF_ENDPOINT names another server with the same paths, HF_HOME the cache,
HF_HUB_OFFLINE=1 forbids the network.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Iterator

from ..budget import count_parameters
from ..config import GPT2Config
from ..files import LOCK_FILE, flush_to_disk, locked, replacing_file
from ..params import parameter_shapes
from ..suggest import one_line
from .assemble import mismatches
from .checksums import write_checksums
from .configs import CONFIG, write_config
from .download import BLOCK, Report, download, size
from .errors import CheckpointError, bad_file
from .huggingface import WEIGHTS, canonical
from .reading import cached, own_folder
from .safetensors_file import read_safetensors

ENDPOINT = "https://huggingface.co"
UNFINISHED = ".unfinished"
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
            announced = download(url, partial, _most_bytes(config), report, pauses)
        except (OSError, HTTPException, ValueError) as error:
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
            target, {WEIGHTS: {"bytes": size(partial), "sha256": pulled.sha256}})
        flush_to_disk(partial)
        os.replace(partial, weights)
    return replace(pulled, fetched=True)


def _most_bytes(config: GPT2Config) -> int:
    """More than the published file of a size has: masks are stored beside the parameters."""
    return 8 * count_parameters(config) + 2**20


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
                    if not size(partial):
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
    if done := size(partial):
        advice = f"{done / 2**20:.0f} MiB are downloaded, the same command resumes"
    # the reason may be the server's own words
    return OSError(f"{url} cannot be downloaded ({one_line(str(reason))[:200]}); {advice}")
