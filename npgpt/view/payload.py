"""The payload: everything that a page shows, collected from one model and one text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from ..config import GPT2Config
from ..layers.cross_entropy import IGNORE
from ..params import Params
from ..tape import Array
from ..text import Tokenizer
from ..version import VERSION
from . import generation, tokens
from .attention import attention, entropy, entropy_of_training
from .encoding import Json
from .entries import columns, entries, layer_texts, left_out
from .flow import flow, paths
from .parameters import Optimizer, parameters
from .tracing import Traced, traced

FORMAT = 1
ROUNDED = "arrays are rounded to three significant digits; --exact shows them as they are"


@dataclass(frozen=True)
class Subject:
    """A model to be looked at, and where it comes from."""

    name: str
    kind: str
    """run, checkpoint, preset or weights."""
    config: GPT2Config
    params: Params
    tokenizer: Tokenizer
    optimizer: Optimizer
    step: int | None = None
    """Of training; None where it is not known."""
    log: list[dict[str, object]] = field(default_factory=list)
    """What its run logged."""


@dataclass(frozen=True)
class Window:
    """A text's tokens: ids (T,), targets (T,), -100 for none; and how many there were."""

    ids: Array
    targets: Array
    total: int
    source: str

    @classmethod
    def of(cls, found: Array, length: int, source: str) -> Window:
        """The first `length` of the tokens found (N,), each with the next as its target.

        Raises ValueError for fewer than two tokens.
        """
        if len(found) < 2:
            raise ValueError(f"expected a text of at least two tokens, one to predict from and one "
                             f"to predict; got {len(found)}")
        ids = np.asarray(found[:length], np.int64)
        following = np.asarray(found[1:length + 1], np.int64)
        targets = np.full(len(ids), IGNORE, np.int64)
        targets[:len(following)] = following
        return cls(ids, targets, len(found), source)


def payload(
    subject: Subject, window: Window, *, command: str = "", exact: bool = False, live: bool = False,
    brief: bool = False,
) -> tuple[Json, Traced]:
    """All that a page shows of `subject` reading `window`, and the trace that it is taken from.

    `brief` leaves out what the second of two traces does not show: values, parameters, paths,
    generation and the layers' text.
    """
    with np.errstate(all="ignore"):
        seen = traced(subject.params, window.ids[None], window.targets[None], subject.config)
        kept = columns(seen, exact)
        found: Json = {
            "format": FORMAT,
            "meta": _meta(subject, window, command, exact, live) | {
                "left_out": _window_left_out(window) + left_out(seen, kept)},
            "tokens": [tokens.token(subject.tokenizer, i) for i in window.ids],
            "targets": tokens.predictions(seen, subject.tokenizer),
            "loss": seen.loss, "uniform": float(np.log(subject.config.vocab_size)),
            "entries": entries(seen, kept, brief, exact),
            "stream": seen.stream, "flow": flow(seen), "attention": attention(seen, exact),
            "entropy": entropy(seen, entropy_of_training(subject.log), exact),
            "paths": None, "generation": None, "parameters": [], "optimizer": None, "layers": {},
            "check": None, "before": None}
        if not brief:
            found["paths"] = paths(seen, tokens.losses(seen), exact)
            found["generation"] = generation.generation(
                subject.params, subject.config, subject.tokenizer, window.ids)
            found["parameters"], found["optimizer"] = parameters(
                subject.params, seen.grads, subject.config, subject.optimizer, exact)
            found["layers"] = layer_texts(seen)
    return found, seen


def digest(params: Params) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of all parameters, by name."""
    found = hashlib.sha256()
    for name in sorted(params):
        found.update(name.encode())
        found.update(np.ascontiguousarray(params[name]).tobytes())
    return found.hexdigest()[:16]


def _meta(
    subject: Subject, window: Window, command: str, exact: bool, live: bool
) -> Json:
    config = subject.config.to_dict()
    plain = GPT2Config().to_dict()
    return {
        "version": VERSION, "command": command, "model": subject.name, "kind": subject.kind,
        "trained": subject.kind != "preset", "step": subject.step,
        "digest": digest(subject.params), "config": config,
        "notable": {name: value for name, value in config.items() if value != plain[name]},
        "parameters": sum(array.size for array in subject.params.values()),
        "dtype": str(subject.params["wpe.weight"].dtype), "exact": exact, "live": live,
        "length": len(window.ids), "text": window.source,
        "input": subject.tokenizer.decode(window.ids), "created": None,
        "rounding": None if exact else ROUNDED}


def _window_left_out(window: Window) -> list[str]:
    used = len(window.ids)
    if window.total <= used + 1:
        return []
    return [f"the first {used:,} of {window.total:,} tokens are shown; --length takes more"]
