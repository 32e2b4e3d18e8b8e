"""The words of error messages: what was given, on one line, and the nearest name to a mistyped one.
"""

from __future__ import annotations

import difflib
from typing import Iterable


def one_line(text: str, longest: int | None = None) -> str:
    """A text from outside, such as a file or a server, as it may be printed.

    Line breaks and control characters, which could steer a terminal, become spaces; what is beyond
    `longest` characters is left out.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if longest is None or len(text) <= longest else f"{text[:longest - 3]}..."


def shown(value: object, longest: int = 60) -> str:
    """The repr of a value on one line, cut to `longest` characters."""
    try:
        return one_line(repr(value), longest)
    except Exception:       # the caller's own repr; an int of too many digits
        return f"a value of type {type(value).__name__}"


def did_you_mean(word: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean 'relu'?)` for the nearest of the known names; empty if none is near.

        raise ValueError(f"unknown activation {word!r}{did_you_mean(word, ACTIVATIONS)}")

    `cutoff` is how alike the two must be, as difflib measures it: 1 is equal.
    """
    # a longer word is like none of them, and comparing it takes long
    text = word if isinstance(word, str) else shown(word)
    near = difflib.get_close_matches(text[:100], list(known), n=1, cutoff=cutoff)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unknown(what: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is none of the known ones: the nearest of them, and all."""
    known = list(known)
    return ValueError(f"unknown {what} {shown(name)}{did_you_mean(name, known)}; "
                      f"expected one of {', '.join(known)}")
