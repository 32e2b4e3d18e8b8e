"""Tokens as one can see them, and how well each was predicted."""

from __future__ import annotations

import re

import numpy as np

from ..layers.cross_entropy import IGNORE
from ..tape import Array
from ..text import Tokenizer
from .encoding import Json
from .tracing import Traced

CANDIDATES = 10
SIGNS = {" ": "␣", "\n": "↵", "\r": "␍", "\t": "⇥"}
# controls, and characters without a width or that turn the direction of a text
_UNSEEN = re.compile("[\u0000-\u001f\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f"
                     "\ufeff]")


def visible(raw: bytes) -> str:
    """A token's bytes with a sign for each blank, and <0xE2> for a byte of a partial character."""
    shown = []
    # surrogates stand for bytes that are not UTF-8
    for character in raw.decode("utf-8", errors="surrogateescape"):
        if "\udc80" <= character <= "\udcff":
            shown.append(f"<0x{ord(character) - 0xdc00:02X}>")
        elif character in SIGNS:
            shown.append(SIGNS[character])
        elif _UNSEEN.match(character):
            shown.append(f"<U+{ord(character):04X}>")
        else:
            shown.append(character)
    return "".join(shown)


def token(tokenizer: Tokenizer, number: int) -> Json:
    """A token's id, its text, and the text with visible signs."""
    raw = tokenizer.decode_bytes([number])
    return {"id": int(number), "text": raw.decode("utf-8", errors="replace"), "show": visible(raw)}


def log_softmax(logits: Array) -> Array:
    """Log-probabilities (..., V) in float64."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(axis=-1, keepdims=True)
    out: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out


def best(scores: Array, count: int) -> Array:
    """The ids of the `count` highest scores (V,), the lower id first among equals."""
    count = min(count, len(scores))
    # a NaN is sorted last
    return np.argsort(-scores, kind="stable")[:count]


def losses(seen: Traced) -> Array:
    """Loss of every position (T,) in nats; NaN where there is no target."""
    targets = seen.targets[0]
    with np.errstate(all="ignore"):
        logs = log_softmax(seen.logits)
    safe = np.where(targets == IGNORE, 0, targets)
    return np.where(targets == IGNORE, np.nan, 0.0 - logs[np.arange(len(targets)), safe])


def predictions(seen: Traced, tokenizer: Tokenizer) -> list[Json]:
    """What is predicted after every position: the target, its loss and rank, and candidates."""
    found = []
    with np.errstate(all="ignore"):
        for position, (logits, target) in enumerate(zip(seen.logits, seen.targets[0])):
            logs = log_softmax(logits)
            p = np.exp(logs)
            prediction: Json = {
                "id": None, "text": None, "show": None, "loss": None, "probability": None,
                "rank": None, "ties": 0,
                "entropy": float(0.0 - (p * np.where(p > 0, logs, 0.0)).sum()),
                "candidates": [{**token(tokenizer, i), "p": float(p[i])}
                               for i in best(logits, CANDIDATES)]}
            if target != IGNORE:
                prediction |= {
                    **token(tokenizer, target), "loss": float(0.0 - logs[target]),
                    "probability": float(p[target]),
                    "rank": 1 + int((logits > logits[target]).sum())
                    if np.isfinite(logits[target]) else None,
                    "ties": max(0, int((logits == logits[target]).sum()) - 1)}
            found.append(prediction)
    return found
