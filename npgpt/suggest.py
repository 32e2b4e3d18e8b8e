"""The nearest known name to a mistyped one: the `did you mean` of every error message."""

from __future__ import annotations

import difflib
from typing import Iterable


def did_you_mean(word: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean 'relu'?)` for the nearest of the known names; empty if none is near.

        raise ValueError(f"unknown activation {word!r}{did_you_mean(word, ACTIVATIONS)}")

    `cutoff` is how alike the two must be, as difflib measures it: 1 is equal.
    """
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=cutoff)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unknown(what: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is none of the known ones: the nearest of them, and all."""
    known = list(known)
    return ValueError(f"unknown {what} {name!r}{did_you_mean(name, known)}; "
                      f"expected one of {', '.join(known)}")
