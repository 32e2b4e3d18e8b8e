"""A language model: weights that write text, one continuation or many.

    model = LanguageModel(config, params)               # GPT2 is one, GPT2.quantized() another
    model.generate(ids, 50, temperature=0.8, seed=1)    # prompt and continuation
    for token in model.stream(ids, 50): ...             # as they come
    model.complete(prompts, 50)                         # log-probabilities, ends

The prompt is read once (prefill), then every step reads one new token (decode), with a KV cache.
How rows, windows and drafts are handled is in writer.py.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Generator, Sequence, TypeGuard, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from ..checked import checked
from ..config import GPT2Config
from ..fast.ops import FAST
from ..ids import check_ids, check_integer
from ..machine.memory import check_memory
from ..ops import Ops
from ..params import parameter_shapes
from ..suggest import shown
from ..tape import Array
from ..variants import is_extra
from .fast_reader import reader_for
from .quantized import Weights
from .reader import MakeReader
from .sampling import generators
from .session import Session
from .writer import OnSlide, Request, Settings, Token, Writer, check_names

_PACKAGE = str(Path(__file__).parents[1])


class StreamSettings(Settings, total=False):
    """Every setting of `stream`, as keywords."""

    seed: int | None
    samples: int
    on_slide: OnSlide | None
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


class LanguageModel:
    """A config, weights and ops, which is all that it takes to write text.

    `params` are a model's, or int8 matrices of `quantize`. With other ops than the fast ones, which
    take int8 as it is, such matrices are widened once, for each call.
    """

    params: Weights

    @checked
    def __init__(self, config: GPT2Config, params: Weights, ops: Ops = FAST) -> None:
        if config.n_layer > len(params) or any(
                name not in params for name in parameter_shapes(config) if not is_extra(name)):
            raise ValueError("params lack some of the config's; see npgpt.GPT2, which names them")
        self.config = config
        self.params = params
        self.ops = ops

    @overload
    def generate(
        self, ids: Array, max_new_tokens: int = 50, **settings: Unpack[StreamSettings]
    ) -> Array: ...

    @overload
    def generate(
        self, ids: ArrayLike, max_new_tokens: int = 50, **settings: Unpack[StreamSettings]
    ) -> Array | list[Array]: ...

    def generate(
        self, ids: ArrayLike, max_new_tokens: int = 50, **settings: Unpack[StreamSettings]
    ) -> Array | list[Array]:
        """Prompt and continuation; settings as for `stream`.

        ids (T,) give (T + N,), and (B, T) give (B, T + N); with samples=S, a first axis of B * S
        rows. Rows that end early are filled up with their last token. A list of 1-D arrays, of any
        lengths, gives a list of 1-D arrays, unfilled. Raises as `stream`.
        """
        rows = [
            np.concatenate([row.prompt, row.ids])
            for row in self.complete(ids, max_new_tokens, **settings)
        ]
        if _is_ragged(ids):
            return rows
        if np.ndim(ids) == 1 and len(rows) == 1:
            return rows[0]
        longest = max(len(row) for row in rows)
        return np.stack([np.pad(row, (0, longest - len(row)), mode="edge") for row in rows])

    @checked
    def complete(
        self, ids: ArrayLike, max_new_tokens: int, *,
        on_token: Callable[[Token], None] | None = None, **settings: Unpack[StreamSettings],
    ) -> list[Completion]:
        """What each row writes, with log-probabilities and the reason of its end.

        `on_token` is called with every Token as it comes; other settings as for `stream`. Raises as
        `stream`.
        """
        prompts = _prompts(ids, self.config)
        tokens = self.stream(prompts, max_new_tokens, **settings)
        samples = int(settings.get("samples", 1))
        # a Token in a list, its id and its log-probability
        check_memory(200 * len(prompts) * samples * max_new_tokens,
                     f"max_new_tokens={max_new_tokens}")
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

    @checked
    def stream(
        self, ids: ArrayLike, max_new_tokens: int, *,
        seed: int | None = None,
        samples: int = 1,
        on_slide: OnSlide | None = None,
        reader: MakeReader | None = None,
        **settings: Unpack[Settings],
    ) -> Generator[Token, None, None]:
        """Yield a Token for every token of every row, as they come.

            ids                 (T,), (B, T), or a list of 1-D arrays: prompts of any lengths
            seed                the same seed, the same tokens; None draws a new one
            samples             so many continuations of each prompt, its rows side by side
            on_slide            called with a row when its text first exceeds n_positions; by
                                default one UserWarning says so
            reader              makes the reader, in place of the one that suits the ops
        Settings:
            temperature, top_k, top_p, min_p, repetition_penalty    as in Sampling; temperature 0 is
                                greedy, 1 the default
            stop_ids, stop      ids, or one, and strings that end a row; strings need decode=, from
                                ids to str
            speculate           draft by prompt look-up; the same tokens, sooner in repetitive text

        Raises, at the call and before any work, ValueError for an empty prompt, ids outside the
        vocabulary, max_new_tokens below 0, more rows than memory, and invalid settings; TypeError
        for an unknown setting.
        """
        check_names(settings, StreamSettings.__annotations__)
        prompts = _prompts(ids, self.config)
        self.check_writes()
        wanted = Request(self.config, max_new_tokens, **settings)
        check_integer("samples", samples, 1)
        longest = max(len(prompt) for prompt in prompts)
        capacity = min(self.config.n_positions, longest + wanted.limit)
        # keys and values, the text, and 4 KB for a generator
        row = 8 * self.config.n_layer * self.config.n_embd * capacity + 64 * longest + 4096
        check_memory(len(prompts) * samples * row, f"samples={shown(samples)}")
        texts = [prompt.tolist() for prompt in prompts for _ in range(samples)]
        rngs = generators(seed, len(texts))
        make = reader or reader_for(self.ops)
        return Writer(
            texts, rngs, make(self.params, self.config, len(texts), capacity), self.config,
            on_slide or warn_of_slide(self.config),
        ).write(wanted)

    def check_writes(self) -> None:
        """Raise ValueError for a classifier, which has no next token."""
        if self.config.n_labels:
            raise ValueError(f"this model is a classifier (n_labels={self.config.n_labels}): it "
                             f"scores labels and writes no text")

    @checked
    def session(self, *, seed: int | None = None, on_slide: OnSlide | None = None) -> Session:
        """One text that a user and the model write by turns; see Session."""
        self.check_writes()
        return Session(self.params, self.config, seed=seed, reader=reader_for(self.ops),
                       on_slide=on_slide or warn_of_slide(self.config))


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


def _is_ragged(ids: ArrayLike) -> TypeGuard[Sequence[ArrayLike]]:
    """Whether ids are a list of prompts, perhaps of different lengths."""
    return isinstance(ids, (list, tuple)) and (
        len({np.size(row) for row in ids}) > 1 or any(isinstance(row, np.ndarray) for row in ids))


def _prompts(ids: ArrayLike, config: GPT2Config) -> list[Array]:
    """The prompts as 1-D arrays."""
    if _is_ragged(ids):
        rows = [check_ids(row, config.vocab_size, f"prompt {i}") for i, row in enumerate(ids)]
        wrong = next((row for row in rows if row.ndim != 1), None)
        if wrong is not None:
            raise ValueError(f"a list of prompts holds 1-D arrays; got one of shape {wrong.shape}")
        return rows
    array = check_ids(ids, config.vocab_size, "prompt")
    if array.ndim not in (1, 2):
        raise ValueError(f"a prompt has shape (T,), or (B, T) for several; got {array.shape}")
    return list(np.atleast_2d(array))
