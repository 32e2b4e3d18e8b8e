"""Tiny Shakespeare: downloaded once, verified, and stored in the cache folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable

from ..documents import read_bytes
from ..files import replacing_file
from .sources import CorpusError, cause

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
N_BYTES = 1_115_394
TIMEOUT_SECONDS = 20.0


def fetch(folder: Path, report: Callable[[str], None]) -> bytes:
    """The text: from folder/shakespeare.txt, or from the net and then stored there.

    report is called with where it was stored, or why it was not. CorpusError, in one line, if the
    file is neither there nor on the net: why, where to place it by hand, and the alternatives.
    """
    place = folder / "shakespeare.txt"
    found = ""
    try:
        return _checked(read_bytes(place))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        found = f", and {place} cannot be used ({cause(error)})"
    try:
        content = _checked(_from_the_net())
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"cannot download shakespeare ({cause(error)}){found}: place the file from {URL} at "
            f"{place} by hand, or use python-docs or python-source (no network needed), or any "
            "file or folder of text"
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing_file(place) as beside:
            beside.write_bytes(content)
    except OSError as error:
        report(f"downloaded shakespeare; it cannot be stored at {place} ({cause(error)})")
    else:
        report(f"downloaded shakespeare ({N_BYTES:,} bytes), stored at {place}")
    return content


def _from_the_net() -> bytes:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(URL, timeout=TIMEOUT_SECONDS) as answer:
            # one byte more than expected shows that a file is wrong, however long it is
            return bytes(answer.read(N_BYTES + 1))
    except (OSError, HTTPException) as error:
        # URLError wraps an error or a text
        reason = getattr(error, "reason", error)
        raise OSError(cause(reason if isinstance(reason, BaseException) else error)) from error


def _checked(content: bytes) -> bytes:
    """The content itself; ValueError, in a few words, if it is not Tiny Shakespeare."""
    if len(content) != N_BYTES:
        length = f"{len(content):,}" if len(content) < N_BYTES else "more"
        raise ValueError(f"another file: expected {N_BYTES:,} bytes, got {length}")
    given = hashlib.sha256(content).hexdigest()
    if given != SHA256:
        raise ValueError(f"another file: expected sha256 {SHA256[:12]}..., got {given[:12]}...")
    return content
