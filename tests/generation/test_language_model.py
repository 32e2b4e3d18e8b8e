"""Prompts of every form go in, tokens with their log-probabilities come out, mistakes are named."""

import math
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from npgpt import FAST, GPT2, TEXTBOOK
from npgpt.generation.fast_reader import FastReader
from npgpt.generation.language_model import LanguageModel
from npgpt.generation.quantized import quantize
from npgpt.generation.reader import CachedReader
from npgpt.generation.sampling import Sampling, generators

from .lively import LONG, SMALL, lively
from .plain import CountingReader, complete, generate, last_logits, plainly, stream

PARAMS = lively()
PROMPT = np.array([3, 1, 4, 1, 5])
LONG_PARAMS = lively(LONG)
MODELS = {
    "fast": (GPT2(LONG, LONG_PARAMS), FastReader),
    "textbook": (GPT2(LONG, LONG_PARAMS, TEXTBOOK), CachedReader),
    "int8": (GPT2(LONG, LONG_PARAMS).quantized(), FastReader),
    "int8, textbook": (LanguageModel(LONG, quantize(LONG_PARAMS, LONG), TEXTBOOK), CachedReader),
}


def test_samples_of_one_prompt_differ_and_the_first_is_the_single_one():
    several = generate(PARAMS, SMALL, PROMPT, 10, samples=4, seed=0)
    assert several.shape == (4, 15)
    assert len({tuple(row) for row in several.tolist()}) == 4
    np.testing.assert_array_equal(several[0], generate(PARAMS, SMALL, PROMPT, 10, seed=0))
    for row, rng in zip(several, generators(0, 4)):
        assert row.tolist() == plainly(PROMPT, 10, Sampling(), rng, PARAMS, SMALL)


def test_shapes_come_back_as_they_went_in():
    one = generate(PARAMS, SMALL, [3, 1], 4, seed=0)
    assert one.shape == (6,) and one.dtype == np.int64 and one[:2].tolist() == [3, 1]
    assert generate(PARAMS, SMALL, [[3, 1], [4, 1]], 4, seed=0).shape == (2, 6)
    assert generate(PARAMS, SMALL, [[3, 1]], 4, seed=0).shape == (1, 6)
    assert generate(PARAMS, SMALL, [[3, 1], [4, 1]], 4, seed=0, samples=3).shape == (6, 6)
    ragged = generate(PARAMS, SMALL, [np.array([3]), np.array([4, 1])], 4, seed=0)
    assert [row.shape for row in ragged] == [(5,), (6,)]
    alone = generate(PARAMS, SMALL, [np.array([3])], 4, seed=0)
    assert isinstance(alone, list) and alone[0].shape == (5,)


def test_no_new_tokens_give_the_prompt_and_read_nothing():
    np.testing.assert_array_equal(
        generate(PARAMS, SMALL, PROMPT, 0, reader=CountingReader), PROMPT
    )
    assert CountingReader.latest.chunks == []
    assert complete(PARAMS, SMALL, PROMPT, 0)[0].reason == "length"


def test_the_prompt_array_is_left_alone():
    prompt = PROMPT.copy()
    out = generate(PARAMS, SMALL, prompt, 3, seed=0)
    np.testing.assert_array_equal(prompt, PROMPT)
    assert not np.shares_memory(out, prompt)


def test_only_the_last_logits_are_computed(monkeypatch):
    from npgpt.ops import TEXTBOOK as ops

    shapes = []
    unembedding = ops.unembedding

    def watched(x, weight):
        shapes.append(x.shape[:2])
        return unembedding(x, weight)

    watching = replace(ops, unembedding=replace(unembedding, inference=watched))
    generate(PARAMS, SMALL, [list(PROMPT)] * 2, 3, seed=0, ops=watching)
    assert shapes[-3:] == [(2, 1)] * 3
    assert all(count <= 1 for _, count in shapes)


def test_log_probabilities_are_those_of_the_model_whatever_the_filters():
    (done,) = complete(PARAMS, SMALL, PROMPT, 6, seed=3, temperature=0.5, top_k=3,
                       repetition_penalty=1.3)
    text = list(PROMPT)
    for token, logprob in zip(done.ids, done.logprobs):
        logits = last_logits(text, PARAMS, SMALL)
        expected = logits[token] - np.log(np.exp(logits).sum())
        assert math.isclose(logprob, expected, abs_tol=1e-12)
        text.append(token)


def test_tokens_stream_one_by_one_and_the_callback_sees_the_same():
    seen = []
    tokens = list(stream(PARAMS, SMALL, PROMPT, 5, seed=8))
    (done,) = complete(PARAMS, SMALL, PROMPT, 5, seed=8, on_token=seen.append)
    assert seen == tokens
    assert [token.id for token in tokens] == done.ids.tolist()
    assert [token.reason for token in tokens] == [None] * 4 + ["length"]
    first = next(stream(PARAMS, SMALL, PROMPT, 10**9, seed=8))
    assert first.id == tokens[0].id


def test_each_completion_names_its_own_prompt():
    prompts = [np.array([3, 1]), np.array([4])]
    done = complete(PARAMS, SMALL, prompts, 2, samples=2, seed=0)
    assert [row.prompt.tolist() for row in done] == [[3, 1], [3, 1], [4], [4]]
    rows = generate(PARAMS, SMALL, prompts, 2, samples=2, seed=0)
    assert [row[:-2].tolist() for row in rows] == [[3, 1], [3, 1], [4], [4]]


def test_the_tokens_of_one_step_come_in_the_order_of_the_rows():
    prompts = [np.arange(n) for n in (4, 2, 4, 3)]
    tokens = list(stream(PARAMS, SMALL, prompts, 3, seed=0))
    assert [token.row for token in tokens[4:]] == [0, 1, 2, 3] * 2


def test_a_stop_id_ends_its_row_only():
    free = generate(PARAMS, SMALL, PROMPT, 10, samples=3, seed=1)
    stop = int(free[1, 8])
    rows = complete(PARAMS, SMALL, PROMPT, 10, samples=3, seed=1, stop_ids=[stop])
    for row, whole in zip(rows, free[:, 5:].tolist()):
        end = whole.index(stop) + 1 if stop in whole else len(whole)
        assert row.ids.tolist() == whole[:end]
        assert row.reason == ("stop" if stop in whole else "length")
    assert rows[1].reason == "stop"
    filled = generate(PARAMS, SMALL, PROMPT, 10, samples=3, seed=1, stop_ids=[stop])
    assert filled.shape[0] == 3
    assert (filled[1, 5 + len(rows[1].ids):] == stop).all()


def test_a_stop_string_is_found_across_tokens_and_not_in_the_prompt():
    def decode(ids):
        return "".join(chr(97 + i) for i in ids)

    free = generate(PARAMS, SMALL, PROMPT, 7, seed=2)
    written = decode(free[5:])
    stop = written[2:5]
    (done,) = complete(PARAMS, SMALL, PROMPT, 7, seed=2, stop=stop, decode=decode)
    assert decode(done.ids) == written[:written.index(stop) + 3]
    assert done.reason == "stop"
    (past,) = complete(PARAMS, SMALL, free, 2, seed=2, stop=stop, decode=decode)
    assert len(past.ids) == 2


@pytest.mark.parametrize("ids, says", [
    ([], "none were given"),
    (np.zeros((2, 0), int), "none were given"),
    ([np.array([1]), np.array([], int)], "prompt 1: none were given"),
    ([1, 29], r"29 is outside the vocabulary \[0, 29\)"),
    ([-1], r"-1 is outside the vocabulary"),
    ([2**63], "outside the vocabulary"),
    ([1.0], "must be integers"),
    ([True], "must be integers"),
    ([5, True], "must be integers"),
    ("text", "must be integers"),
    (3, r"shape \(T,\)"),
    (np.zeros((1, 2, 3), int), r"\(1, 2, 3\)"),
    ([[1, 2], 3], "1-D arrays"),
    ([[1, 2], [3, 29, 4]], "prompt 1: 29 is outside"),
    ([np.array([[1]])], "1-D arrays"),
])
def test_invalid_prompts_are_rejected(ids, says):
    with pytest.raises(ValueError, match=says):
        generate(PARAMS, SMALL, ids, 3)


@pytest.mark.parametrize("given_settings, says", [
    ({"max_new_tokens": -1}, "max_new_tokens=-1 must be an integer from 0"),
    ({"max_new_tokens": 1.5}, "max_new_tokens=1.5 must be an integer"),
    ({"max_new_tokens": True}, "max_new_tokens=True must be an integer"),
    ({"temperature": -1.0}, "temperature"),
    ({"samples": 0}, "samples=0 must be an integer of at least 1"),
    ({"stop_ids": [29]}, "stop_ids: 29 is outside the vocabulary"),
    ({"stop": "x"}, "pass decode="),
    ({"stop": "", "decode": str}, "at least one character"),
    ({"seed": -3}, "seed=-3"),
])
def test_invalid_settings_are_rejected_before_any_work(given_settings, says):
    arguments = {"ids": [1], "max_new_tokens": 3, **given_settings}
    with pytest.raises(ValueError, match=says):
        stream(PARAMS, SMALL, **arguments)
    with pytest.raises(ValueError, match=says):
        generate(PARAMS, SMALL, **arguments)


def test_plain_lists_of_different_lengths_are_prompts_too():
    params = lively(SMALL)
    arrays = generate(params, SMALL, [np.array([1, 2]), np.array([3])], 4, temperature=0)
    lists = generate(params, SMALL, [[1, 2], [3]], 4, temperature=0)
    assert [row.tolist() for row in lists] == [row.tolist() for row in arrays]


def this_line():
    return sys._getframe(1).f_lineno


@pytest.mark.parametrize("prompts", [PROMPT, [[3, 1, 4], [1, 5, 9]]], ids=["one", "two"])
def test_a_slide_is_warned_of_once_at_the_callers_line(prompts):
    model = LanguageModel(SMALL, PARAMS)

    def caught(write):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            line = write(prompts, 15, seed=0)
        (warning,) = found
        assert warning.filename == __file__ and warning.lineno == line
        assert str(warning.message) == (
            "text 0 outgrew the context: from here each token is predicted from the last 12 alone")

    def of_generate(*args, **settings):
        return model.generate(*args, **settings) is not None and this_line()

    def of_complete(*args, **settings):
        return model.complete(*args, **settings) and this_line()

    def of_stream(*args, **settings):
        for _ in model.stream(*args, **settings):
            line = this_line() - 1
        return line

    for write in (of_generate, of_complete, of_stream):
        caught(write)


@pytest.mark.parametrize("write", [generate, complete, stream])
@pytest.mark.parametrize("typed, meant", [("temprature", "temperature"), ("sample", "samples"),
                                          ("sed", "seed"), ("top_kk", "top_k")])
def test_a_mistyped_setting_is_named_at_the_call_with_the_one_that_was_meant(write, typed, meant):
    with pytest.raises(TypeError) as error:
        write(PARAMS, SMALL, PROMPT, 3, **{typed: 1})
    start = f"unknown setting {typed!r} (did you mean {meant!r}?); expected one of temperature, "
    assert str(error.value).startswith(start) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_reads_with_what_suits_its_ops(name):
    model, reader = MODELS[name]
    wanted = {"seed": 1, "top_k": 9}
    tokens = list(stream(model.params, LONG, PROMPT, 7, reader=reader, **wanted))
    assert list(model.stream(PROMPT, 7, **wanted)) == tokens
    written = model.generate(PROMPT, 7, **wanted)
    assert written[5:].tolist() == [token.id for token in tokens]
    (completion,) = model.complete(PROMPT, 7, **wanted)
    assert completion.ids.tolist() == written[5:].tolist() and completion.reason == "length"
    session = model.session(seed=1)
    session.extend(PROMPT)
    assert [token.id for token in session.reply(7, top_k=9)] == written[5:].tolist()


def test_a_reader_that_is_passed_wins():
    model = MODELS["fast"][0]
    model.generate(PROMPT, 2, seed=0, reader=CountingReader)
    assert CountingReader.latest.chunks == [([0], 5), ([0], 1)]
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
