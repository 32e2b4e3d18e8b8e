"""What a model does to write text: one set of methods for GPT2 and for its int8 weights.

    class GPT2(GenerationMixin): ...
    small = QuantizedGPT2(config, quantize(params, config))     # or model.quantized()
    small.generate(ids, 50, temperature=0.8, seed=1)

A method fills in what the model knows: its weights, its ops and the reader that suits them.
"""

from __future__ import annotations

from functools import partial
from typing import Generator, Unpack, overload

from numpy.typing import ArrayLike

from ..config import GPT2Config
from ..fast.ops import FAST
from ..ops import Ops
from ..tape import Array
from . import engine
from .engine import Completion, StreamSettings
from .fast_reader import FastReader
from .quantized import Weights
from .reader import CachedReader, MakeReader
from .session import Session
from .writer import OnSlide, Token


class GenerationMixin:
    """generate, stream, complete and session, for a class with a config, ops and weights."""

    config: GPT2Config
    ops: Ops

    @property
    def weights(self) -> Weights:
        """What a reader reads: arrays or int8 matrices by checkpoint name."""
        raise NotImplementedError

    @overload
    def generate(
        self, ids: Array, max_new_tokens: int, **settings: Unpack[StreamSettings]
    ) -> Array: ...

    @overload
    def generate(
        self, ids: ArrayLike, max_new_tokens: int, **settings: Unpack[StreamSettings]
    ) -> Array | list[Array]: ...

    def generate(
        self, ids: ArrayLike, max_new_tokens: int, **settings: Unpack[StreamSettings]
    ) -> Array | list[Array]:
        """Prompt and continuation: ids (T,) give (T + N,), and (B, T) give (B, T + N).

        A list of 1-D arrays, of any lengths, gives such a list. Settings: temperature (1 by
        default, 0 is greedy), seed (the same gives the same tokens), top_k, top_p, min_p,
        repetition_penalty, stop, samples and more, see `npgpt.generation.stream`. A text that
        outgrows the context is reported by one UserWarning, unless `on_slide` is given.
        Raises ValueError for invalid ids and settings, TypeError for an unknown setting.
        """
        return engine.generate(self.weights, self.config, ids, max_new_tokens,
                               **self._filled_in(settings))

    def stream(
        self, ids: ArrayLike, max_new_tokens: int, **settings: Unpack[StreamSettings]
    ) -> Generator[Token, None, None]:
        """The tokens of the continuation as they come; settings as for `generate`."""
        return engine.stream(self.weights, self.config, ids, max_new_tokens,
                             **self._filled_in(settings))

    def complete(
        self, ids: ArrayLike, max_new_tokens: int, **settings: Unpack[StreamSettings]
    ) -> list[Completion]:
        """What each row wrote, with log-probabilities; settings as for `generate`."""
        return engine.complete(self.weights, self.config, ids, max_new_tokens,
                               **self._filled_in(settings))

    def session(self, *, seed: int | None = None, on_slide: OnSlide | None = None) -> Session:
        """One text that a user and the model write by turns; see Session."""
        return Session(self.weights, self.config, seed=seed, reader=self._reader(self.ops),
                       on_slide=on_slide or engine.warn_of_slide(self.config))

    def _filled_in(self, settings: StreamSettings) -> StreamSettings:
        settings.setdefault("reader", self._reader(settings.get("ops", self.ops)))
        settings.setdefault("on_slide", engine.warn_of_slide(self.config))
        return settings

    def _reader(self, ops: Ops) -> MakeReader:
        return FastReader if ops == FAST else partial(CachedReader, ops=ops)


class QuantizedGPT2(GenerationMixin):
    """A model with its matrices rounded to int8, for generation alone: `GPT2.quantized()`.

    `weights` are what `quantize` gives. With other ops than the fast ones the matrices are widened
    once, for each call.
    """

    def __init__(self, config: GPT2Config, weights: Weights, ops: Ops = FAST) -> None:
        self.config = config
        self.ops = ops
        self._weights = weights

    @property
    def weights(self) -> Weights:
        """Matrices as Int8, everything else as arrays, by checkpoint name."""
        return self._weights
