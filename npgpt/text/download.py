"""Texts that are downloaded once, verified, and stored in the cache folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..files import replacing_file
from .sources import CorpusError, cause

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Download:
    """A file on the net, identified by its content."""

    name: str
    url: str
    sha256: str
    n_bytes: int


SHAKESPEARE = Download(
    name="shakespeare",
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    n_bytes=1_115_394,
)


def fetch(
    download: Download, folder: Path, say: Callable[[str], None], alternatives: str
) -> bytes:
    """The content of a download: from folder/NAME.txt, or from the net and then stored there.

    say is called with where it was stored, or why it was not. CorpusError, in one line, if the file
    is neither there nor on the net: why, where to place it by hand, and the alternatives.
    """
    place = folder / f"{download.name}.txt"
    found = ""
    try:
        return _checked(download, place.read_bytes())
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        found = f", and {place} cannot be used ({cause(error)})"
    try:
        content = _checked(download, _from_the_net(download))
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"cannot download {download.name} ({cause(error)}){found}: place the file from "
            f"{download.url} at {place} by hand, or use {alternatives}"
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing_file(place) as beside:
            beside.write_bytes(content)
    except OSError as error:
        say(f"downloaded {download.name}; it cannot be stored at {place} ({cause(error)})")
    else:
        say(f"downloaded {download.name} ({download.n_bytes:,} bytes), stored at {place}")
    return content


def _from_the_net(download: Download) -> bytes:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(download.url, timeout=TIMEOUT_SECONDS) as answer:
            # one byte more than expected shows that a file is wrong, however long it is
            return bytes(answer.read(download.n_bytes + 1))
    except (OSError, HTTPException) as error:
        # URLError wraps an error or a text
        reason = getattr(error, "reason", error)
        raise OSError(cause(reason if isinstance(reason, BaseException) else error)) from error


def _checked(download: Download, content: bytes) -> bytes:
    """The content itself; ValueError, in a few words, if it is not the download's."""
    length = f"{len(content):,}" if len(content) <= download.n_bytes else "more"
    if len(content) != download.n_bytes:
        raise ValueError(f"another file: expected {download.n_bytes:,} bytes, got {length}")
    given = hashlib.sha256(content).hexdigest()
    if given != download.sha256:
        raise ValueError(
            f"another file: expected sha256 {download.sha256[:12]}..., got {given[:12]}...")
    return content
