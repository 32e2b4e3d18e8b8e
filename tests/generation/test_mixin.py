"""The methods fill in what a model knows, and what is passed wins."""

import numpy as np
import pytest

from npgpt import FAST, GPT2, TEXTBOOK
from npgpt.generation import complete, generate, stream
from npgpt.generation.fast_reader import FastReader
from npgpt.generation.mixin import GenerationMixin, QuantizedGPT2
from npgpt.generation.quantized import quantize
from npgpt.generation.reader import CachedReader

from .lively import LONG, SMALL, lively
from .plain import CountingReader

PROMPT = np.array([3, 1, 4, 1, 5])
PARAMS = lively(LONG)
MODELS = {
    "fast": (GPT2(LONG, PARAMS), FastReader),
    "textbook": (GPT2(LONG, PARAMS, TEXTBOOK), CachedReader),
    "int8": (GPT2(LONG, PARAMS).quantized(), FastReader),
    "int8, textbook": (QuantizedGPT2(LONG, quantize(PARAMS, LONG), TEXTBOOK), CachedReader),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_method_writes_the_tokens_of_the_function_of_its_name(name):
    model, reader = MODELS[name]
    wanted = {"seed": 1, "top_k": 9}
    tokens = list(stream(model.weights, LONG, PROMPT, 7, reader=reader, **wanted))
    assert list(model.stream(PROMPT, 7, **wanted)) == tokens
    written = model.generate(PROMPT, 7, **wanted)
    np.testing.assert_array_equal(
        written, generate(model.weights, LONG, PROMPT, 7, reader=reader, **wanted))
    assert written[5:].tolist() == [token.id for token in tokens]
    (got,), (expected,) = (
        model.complete(PROMPT, 7, **wanted),
        complete(model.weights, LONG, PROMPT, 7, reader=reader, **wanted))
    assert got.ids.tolist() == expected.ids.tolist() and got.reason == expected.reason
    session = model.session(seed=1)
    session.extend(PROMPT)
    assert [token.id for token in session.reply(7, top_k=9)] == written[5:].tolist()


def test_ops_and_a_reader_that_are_passed_win():
    model = MODELS["fast"][0]
    model.generate(PROMPT, 2, seed=0, reader=CountingReader)
    assert CountingReader.latest.chunks == [([0], 5), ([0], 1)]
    (got,) = model.complete(PROMPT, 7, seed=0, ops=TEXTBOOK)
    (expected,) = MODELS["textbook"][0].complete(PROMPT, 7, seed=0)
    assert got.logprobs.tolist() == expected.logprobs.tolist()
    assert model.ops is FAST


@pytest.mark.parametrize("write", ["generate", "stream", "complete", "session"])
def test_a_slide_is_warned_of_at_the_callers_line_unless_on_slide_is_given(write):
    model, slid = GPT2(SMALL, lively()), []

    def call(**settings):
        if write == "session":
            session = model.session(**settings)
            session.extend(PROMPT)
            return list(session.reply(9))
        return list(getattr(model, write)(PROMPT, 9, **settings))

    with pytest.warns(UserWarning, match="from here each token is predicted from the last 12") as w:
        call(seed=0)
    assert [warning.filename for warning in w] == [__file__]
    call(seed=0, on_slide=slid.append)
    assert slid == [0]


def test_without_weights_there_is_nothing_to_read():
    with pytest.raises(NotImplementedError):
        GenerationMixin().weights
