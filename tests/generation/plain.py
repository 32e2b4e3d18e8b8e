"""The plain way to write, which the engine must equal; and a reader that counts."""

import numpy as np

from npgpt import model
from npgpt.generation.language_model import LanguageModel
from npgpt.generation.reader import CachedReader
from npgpt.ops import TEXTBOOK


def stream(params, config, ids, max_new_tokens, *, ops=TEXTBOOK, **settings):
    """The textbook's tokens, and no warning where a text outgrows the context."""
    settings.setdefault("on_slide", lambda row: None)
    return LanguageModel(config, params, ops).stream(ids, max_new_tokens, **settings)


def complete(params, config, ids, max_new_tokens, *, ops=TEXTBOOK, **settings):
    """What the textbook writes, likewise."""
    settings.setdefault("on_slide", lambda row: None)
    return LanguageModel(config, params, ops).complete(ids, max_new_tokens, **settings)


def generate(params, config, ids, max_new_tokens, *, ops=TEXTBOOK, **settings):
    """Prompt and continuation by the textbook, likewise."""
    settings.setdefault("on_slide", lambda row: None)
    return LanguageModel(config, params, ops).generate(ids, max_new_tokens, **settings)


def assert_same(got, full):
    """Equal to 1e-12 of the largest number."""
    assert np.shape(got) == np.shape(full) and np.abs(full).max(initial=0.0) < 1e4
    np.testing.assert_allclose(got, full, rtol=0, atol=1e-12 * np.abs(full).max(initial=1.0))


def last_logits(text, params, config):
    """The logits (V,) after the last n_positions tokens of a text, all computed afresh."""
    window = np.array(text[-config.n_positions:])
    return model.logits(params, window[None], config)[0, -1]


def plainly(text, count, sampling, rng, params, config):
    """The loop without cache, batch or draft: the text and `count` more tokens, as a list."""
    text = list(text)
    for _ in range(count):
        text.append(sampling.choose(last_logits(text, params, config), rng, text))
    return text


class CountingReader(CachedReader):
    """Notes which rows it reads and how many tokens of each; raises KeyboardInterrupt on demand.

    `CountingReader.latest` is the one made last.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.chunks = []
        self.interrupt = False
        CountingReader.latest = self

    def read(self, rows, ids, keep=1):
        logits = super().read(rows, ids, keep)
        self.chunks.append((list(rows), ids.shape[1]))
        if self.interrupt:
            self.interrupt = False
            raise KeyboardInterrupt
        return logits

    @property
    def counts(self):
        return [count for _, count in self.chunks]
