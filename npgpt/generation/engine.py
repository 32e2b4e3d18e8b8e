"""The engine: continue one text or many.

    generate(params, config, ids, 50, temperature=0.8, seed=1)          # prompt and continuation
    for token in stream(params, config, ids, 50): ...                   # as they come
    complete(params, config, prompts, 50)                               # log-probabilities, ends

The prompt is read once (prefill), then every step reads one new token (decode), with a KV cache.
How rows, windows and drafts are handled is in writer.py.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Generator, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from ..config import GPT2Config
from ..ids import check_ids, check_integer
from ..ops import TEXTBOOK, Ops
from ..tape import Array
from .quantized import Weights
from .reader import CachedReader, MakeReader
from .sampling import generators
from .writer import OnSlide, Settings, Token, Writer, check_names, request

_PACKAGE = str(Path(__file__).parents[1])


class StreamSettings(Settings, total=False):
    """Every setting of `stream`, as keywords."""

    seed: int | None
    samples: int
    on_slide: OnSlide | None
    ops: Ops
    reader: MakeReader | None


@dataclass
class Completion:
    """What one row wrote."""

    prompt: Array
    """(P,) token ids."""
    ids: Array
    """(N,) token ids of the continuation; a stop's last token included."""
    logprobs: Array
    """(N,) in nats, as in Token."""
    reason: str
    """"stop" or "length"."""


@overload
def generate(
    params: Weights, config: GPT2Config, ids: Array, max_new_tokens: int,
    **settings: Unpack[StreamSettings],
) -> Array: ...


@overload
def generate(
    params: Weights, config: GPT2Config, ids: ArrayLike, max_new_tokens: int,
    **settings: Unpack[StreamSettings],
) -> Array | list[Array]: ...


def generate(
    params: Weights, config: GPT2Config, ids: ArrayLike, max_new_tokens: int,
    **settings: Unpack[StreamSettings],
) -> Array | list[Array]:
    """Prompt and continuation; settings as for `stream`.

    ids (T,) give (T + N,), and (B, T) give (B, T + N); with samples=S, a first axis of B * S rows.
    Rows that end early are filled up with their last token. A list of 1-D arrays, of any lengths,
    gives a list of 1-D arrays, unfilled.
    """
    prompts, form = _prompts(ids, config)
    rows = [
        np.concatenate([row.prompt, row.ids])
        for row in complete(params, config, prompts, max_new_tokens, **settings)
    ]
    if form == "list":
        return rows
    if form == "row" and len(rows) == 1:
        return rows[0]
    longest = max(len(row) for row in rows)
    return np.stack([np.pad(row, (0, longest - len(row)), mode="edge") for row in rows])


def complete(
    params: Weights,
    config: GPT2Config,
    ids: ArrayLike,
    max_new_tokens: int,
    *,
    on_token: Callable[[Token], None] | None = None,
    **settings: Unpack[StreamSettings],
) -> list[Completion]:
    """What each row writes, with log-probabilities and the reason of its end.

    `on_token` is called with every Token as it comes; other settings as for `stream`.
    """
    prompts, _ = _prompts(ids, config)
    tokens = stream(params, config, prompts, max_new_tokens, **settings)
    samples = settings.get("samples", 1)
    rows: list[list[Token]] = [[] for _ in range(len(prompts) * samples)]
    for token in tokens:
        rows[token.row].append(token)
        if on_token is not None:
            on_token(token)
    return [
        Completion(
            prompt=prompts[i // samples],
            ids=np.array([token.id for token in row], np.int64),
            logprobs=np.array([token.logprob for token in row], np.float64),
            reason=(row[-1].reason if row else None) or "length",
        )
        for i, row in enumerate(rows)
    ]


def stream(
    params: Weights,
    config: GPT2Config,
    ids: ArrayLike,
    max_new_tokens: int,
    *,
    seed: int | None = None,
    samples: int = 1,
    on_slide: OnSlide | None = None,
    ops: Ops = TEXTBOOK,
    reader: MakeReader | None = None,
    **settings: Unpack[Settings],
) -> Generator[Token, None, None]:
    """Yield a Token for every token of every row, as they come.

        ids                     (T,), (B, T), or a list of 1-D arrays: prompts of any lengths
        seed                    the same seed, the same tokens; None draws a new one
        samples                 so many continuations of each prompt, its rows side by side
        on_slide                called with a row when its text first exceeds n_positions, such as
                                `warn_of_slide(config)`
        ops                     the layers that the cached reader computes with
        reader                  makes another Reader, such as FastReader, which has its own ops
    Settings:
        temperature, top_k, top_p, min_p, repetition_penalty    as in Sampling; temperature 0 is
                                greedy, 1 the default
        stop_ids, stop          ids and strings that end a row; strings need decode=, from ids to
                                str
        speculate               draft by prompt look-up; the same tokens, sooner in repetitive text

    `params` are a model's or `quantize`'s. Raises, at the call and before any work, ValueError for
    an empty prompt, ids outside the vocabulary, max_new_tokens below 0 and invalid settings;
    TypeError for an unknown setting.
    """
    check_names(settings, also=("seed", "samples", "on_slide", "ops", "reader"))
    prompts, _ = _prompts(ids, config)
    wanted = request(config, max_new_tokens, **settings)
    check_integer("samples", samples, 1)
    texts = [prompt.tolist() for prompt in prompts for _ in range(samples)]
    rngs = generators(seed, len(texts))
    capacity = min(config.n_positions, max(len(text) for text in texts) + wanted.limit)
    make = partial(CachedReader, ops=ops) if reader is None else reader
    writer = Writer(texts, rngs, make(params, config, len(texts), capacity), config, on_slide)
    return writer.write(wanted)


def warn_of_slide(config: GPT2Config) -> OnSlide:
    """An `on_slide` that issues one UserWarning, at the caller's line.

    That is the innermost line outside npgpt: the call of `generate`, or the loop over `stream`.
    """
    warned = False

    def warn(row: int) -> None:
        nonlocal warned
        if not warned:
            warned = True
            warnings.warn(f"text {row} outgrew the context: from here each token is predicted from "
                          f"the last {config.n_positions} alone", stacklevel=_lines_within() + 1)

    return warn


def _lines_within() -> int:
    # warnings' skip_file_prefixes does this from Python 3.12 on
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, depth = frame.f_back, depth + 1
    return depth - 1


def _prompts(ids: ArrayLike, config: GPT2Config) -> tuple[list[Array], str]:
    """The prompts as 1-D arrays, and what was given: a "row", a "matrix" or a "list"."""
    if isinstance(ids, (list, tuple)) and (
        len({np.size(row) for row in ids}) > 1 or any(isinstance(row, np.ndarray) for row in ids)
    ):
        rows = [check_ids(row, config.vocab_size, f"prompt {i}") for i, row in enumerate(ids)]
        wrong = next((row for row in rows if row.ndim != 1), None)
        if wrong is not None:
            raise ValueError(f"a list of prompts holds 1-D arrays; got one of shape {wrong.shape}")
        return rows, "list"
    array = check_ids(ids, config.vocab_size, "prompt")
    if array.ndim not in (1, 2):
        raise ValueError(f"a prompt has shape (T,), or (B, T) for several; got {array.shape}")
    return list(np.atleast_2d(array)), "row" if array.ndim == 1 else "matrix"
