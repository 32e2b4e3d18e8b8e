"""A session: one text that a user and a model write by turns, each token read once.

    session = Session(model.params, model.config, seed=1)
    session.extend(tokenizer.encode("Once upon a time"))
    for token in session.reply(50): ...
    session.extend(tokenizer.encode(" But then"))       # the next reply reads these alone
"""

from __future__ import annotations

from typing import Generator, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ..checked import checked
from ..config import GPT2Config
from ..ids import check_ids
from ..tape import Array
from .quantized import Weights
from .reader import CachedReader, MakeReader
from .sampling import generators
from .writer import OnSlide, Request, Settings, Token, Writer, check_names


class Session:
    """The text so far, and a reader whose cache lasts between turns.

    `seed` and `reader` as for `LanguageModel.stream`, whose tokens the first reply equals;
    `on_slide` too, but None says nothing.
    """

    @checked
    def __init__(
        self, params: Weights, config: GPT2Config, *,
        seed: int | None = None,
        on_slide: OnSlide | None = None,
        reader: MakeReader = CachedReader,
    ) -> None:
        self.config = config
        self._writer = Writer([[]], generators(seed, 1),
                              reader(params, config, 1, config.n_positions), config, on_slide)

    @property
    def ids(self) -> Array:
        """The whole text so far, (T,) token ids."""
        return np.array(self._writer.rows[0].text, np.int64)

    def extend(self, ids: ArrayLike) -> None:
        """Append ids (T,) to the text; ValueError unless each is in the vocabulary."""
        array = check_ids(ids, self.config.vocab_size)
        if array.ndim != 1:
            raise ValueError(f"a session is one text, ids of shape (T,); got {array.shape}")
        self._writer.extend(0, array.tolist())

    def reply(
        self, max_new_tokens: int, **settings: Unpack[Settings]
    ) -> Generator[Token, None, None]:
        """Continue the text; yields each Token as it comes.

        Settings as those of `stream`. Left early (a `break`, an interrupt), the text ends with the
        last token that was yielded. Raises ValueError while there is no text to continue.
        """
        check_names(settings, Settings.__annotations__)
        if not len(self.ids):
            raise ValueError("there is no text to continue; call extend with a prompt first")
        return self._writer.write(Request(self.config, max_new_tokens, **settings))
