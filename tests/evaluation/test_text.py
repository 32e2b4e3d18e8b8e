"""Scores of text and of questions, against sums written out plainly."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt import model
from npgpt.evaluation.text import (
    ChoiceScore,
    Question,
    QuestionError,
    TextScore,
    read_questions,
    score_questions,
    score_text,
)
from npgpt.machine.threads import using
from npgpt.params import init_params

from ..generation.lively import SMALL, lively

PARAMS = lively()
TEXT = np.random.default_rng(0).integers(0, 29, 53)


def log_probs(ids, params=PARAMS, config=SMALL):
    """log p of each next token after ids (T,): (T, V)."""
    logits = model.logits(params, np.array(ids)[None], config)[0]
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def plainly(ids, window, stride):
    """Total -log p, token by token: each from the first window that predicts it."""
    nats = 0.0
    for target in range(1, len(ids)):
        begin = 0
        while begin + window < target:
            begin += stride
        nats -= log_probs(ids[begin:target])[-1, ids[target]]
    return nats


@pytest.mark.parametrize(
    "window, stride", [(12, 12), (12, 1), (12, 5), (7, 3), (1, 1), (None, None)]
)
@pytest.mark.parametrize("batch_size, together", [(1, 1), (3, 1), (2, 3)])
def test_each_token_is_scored_once_in_its_first_window(window, stride, batch_size, together):
    with using(3):
        score = score_text(PARAMS, SMALL, TEXT, window=window, stride=stride,
                           batch_size=batch_size, together=together)
    assert score.tokens == 52
    assert math.isclose(score.nats, plainly(TEXT, window or 12, stride or 12), rel_tol=1e-12)


@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 12), st.integers(1, 4))
def test_every_length_window_and_stride_counts_every_token(length, window, stride, batch_size):
    stride = min(stride, window)
    ids = TEXT[:length]
    progress = []
    score = score_text(PARAMS, SMALL, ids, window=window, stride=stride, batch_size=batch_size,
                       on_progress=lambda done, total: progress.append((done, total)))
    assert score.tokens == length - 1
    assert progress[-1] == (length - 1, length - 1)
    assert math.isclose(score.nats, plainly(ids, window, stride), rel_tol=1e-11)


def test_a_start_token_lets_every_token_be_scored():
    score = score_text(PARAMS, SMALL, TEXT, start_id=7, stride=6)
    assert score.tokens == 53
    assert math.isclose(score.nats, plainly(np.append(7, TEXT), 12, 6), rel_tol=1e-12)
    one = score_text(PARAMS, SMALL, TEXT[:1], start_id=7)
    assert one.tokens == 1
    assert math.isclose(one.nats, -log_probs([7])[0, TEXT[0]], rel_tol=1e-12)


def test_a_model_that_knows_nothing_scores_the_log_of_the_vocabulary():
    params = {name: np.zeros_like(array) for name, array in init_params(SMALL).items()}
    score = score_text(params, SMALL, TEXT, stride=4)
    assert math.isclose(score.loss, math.log(29), rel_tol=1e-6)
    assert math.isclose(score.perplexity, 29, rel_tol=1e-5)
    assert math.isclose(score.bits_per_byte(104), 52 * math.log2(29) / 104, rel_tol=1e-6)


def test_a_memory_mapped_text_is_scored_as_an_array(tmp_path):
    path = tmp_path / "ids.bin"
    TEXT.astype(np.uint16).tofile(path)
    mapped = np.memmap(path, np.uint16, "r")
    assert score_text(PARAMS, SMALL, mapped, stride=5) == score_text(PARAMS, SMALL, TEXT, stride=5)


def test_a_perplexity_too_large_for_a_float_is_infinite():
    assert TextScore(8000.0, 10).perplexity == math.inf


@pytest.mark.parametrize("settings, says", [
    ({"ids": [3]}, "a text of 1 tokens has none to predict"),
    ({"ids": []}, "a text of 0 tokens"),
    ({"ids": [3, 29]}, "29 is outside the vocabulary"),
    ({"ids": [[1, 2]]}, r"got shape \(1, 2\)"),
    ({"window": 13}, "window=13 does not fit; whole numbers 1 to 12"),
    ({"window": 0}, "window=0"),
    ({"window": 6, "stride": 7}, "stride=7 does not fit; whole numbers 1 to 6"),
    ({"stride": 0}, "stride=0"),
    ({"stride": 1.5}, "stride=1.5"),
    ({"batch_size": 0}, "batch_size=0 does not fit; whole numbers at least 1"),
    ({"together": 0}, "together=0 does not fit; whole numbers at least 1"),
    ({"start_id": 29}, "start_id: 29 is outside"),
])
def test_text_and_settings_that_do_not_fit_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        score_text(PARAMS, SMALL, **{"ids": TEXT, **settings})


def test_bits_per_byte_needs_bytes():
    with pytest.raises(ValueError, match="n_bytes=0"):
        TextScore(1.0, 1).bits_per_byte(0)


# questions

def encode(text):
    """a to z are 0 to 25, a space is 26."""
    return np.array([26 if letter == " " else ord(letter) - 97 for letter in text], np.int64)


def ending_score(context, ending):
    ids = np.concatenate([encode(context), encode(" " + ending)])
    start = len(ids) - len(ending) - 1
    table = log_probs(ids[:-1])
    return sum(table[i - 1, ids[i]] for i in range(start, len(ids)))


def some_questions(count):
    rng = np.random.default_rng(1)

    def word(least, most):
        return "".join(chr(97 + i) for i in rng.integers(0, 26, rng.integers(least, most + 1)))

    return [
        Question(word(1, 4), tuple(word(1, 6) for _ in range(4)), int(rng.integers(4)))
        for _ in range(count)
    ]


def test_the_ending_of_highest_log_probability_is_chosen_by_sum_and_by_length():
    questions = some_questions(60)
    by_sum = by_length = 0
    for question in questions:
        sums = [ending_score(question.context, ending) for ending in question.endings]
        means = [s / (len(ending) + 1) for s, ending in zip(sums, question.endings)]
        by_sum += int(np.argmax(sums)) == question.label
        by_length += int(np.argmax(means)) == question.label
    progress = []
    score = score_questions(PARAMS, SMALL, questions, encode, on_progress=progress.append)
    assert score == ChoiceScore(60, by_sum, by_length)
    assert by_sum != by_length
    assert (score.accuracy, score.accuracy_by_length) == (by_sum / 60, by_length / 60)
    assert len(progress) == 60 and progress[-1] == score


def test_a_long_context_loses_its_oldest_words():
    # beside an ending of 1 + 5 tokens, whose last is not read, 7 of 12 positions are left
    differs = 0
    for question in some_questions(40):
        whole = "thequickbrownfox" + question.context
        endings = tuple(ending[:4] for ending in question.endings[:3]) + ("abcde",)
        sums = [ending_score(whole[-7:], ending) for ending in endings]
        fewer = [ending_score(whole[-6:], ending) for ending in endings]
        best = int(np.argmax(sums))
        differs += best != int(np.argmax(fewer))
        asked = Question(whole, endings, best)
        assert score_questions(PARAMS, SMALL, [asked], encode).right_by_sum == 1
    assert differs


@pytest.mark.parametrize("question, says", [
    (Question("ab", ("a" * 12, "b"), 0), "question 1: an ending of 13 tokens exceeds the context"),
    (Question("", ("a", "b"), 0), "question 1: context: none were given"),
    (Question("A", ("a", "b"), 0), "question 1: context: -32 is outside"),
])
def test_questions_that_do_not_fit_the_model_are_named(question, says):
    with pytest.raises(ValueError, match=says):
        score_questions(PARAMS, SMALL, [question], encode)


def test_no_questions_give_no_accuracy():
    with pytest.raises(ValueError, match="no questions"):
        score_questions(PARAMS, SMALL, [], encode)


GOOD = {"ind": 24, "ctx": "a man sits", "endings": ["on a roof.", "down.", "up.", "in."],
        "label": 3, "ctx_a": "", "split": "val", "source_id": "activitynet~v_x"}


def test_questions_are_read_from_hellaswags_form(tmp_path):
    path = tmp_path / "val.jsonl"
    path.write_text("\n".join([json.dumps(GOOD), "", json.dumps({**GOOD, "label": "0"}), "  "]))
    first, second = read_questions(path)
    assert first == Question("a man sits", ("on a roof.", "down.", "up.", "in."), 3)
    assert second.label == 0


@pytest.mark.parametrize("line, says", [
    (b"{", "not JSON"),
    (b"[1]", r"a JSON object is needed; got \[1\]"),
    (b"\xff", "not UTF-8 at byte 0"),
    (b"[" * 100_000, "nested too deeply|not JSON"),
    (json.dumps({**GOOD, "label": 4}).encode(), "0 to 3; got 4"),
    (json.dumps({**GOOD, "label": ""}).encode(), "got ''"),
    (json.dumps({**GOOD, "label": True}).encode(), "got True"),
    (json.dumps({**GOOD, "label": -1}).encode(), "got -1"),
    (json.dumps({**GOOD, "endings": ["one"]}).encode(), "two or more"),
    (json.dumps({**GOOD, "endings": "four"}).encode(), "two or more texts; got 'four'"),
    (json.dumps({**GOOD, "endings": ["one", 2]}).encode(), "must be texts; got 2"),
    (json.dumps({**GOOD, "ctx": 5}).encode(), "'ctx' must be text; got 5"),
    (json.dumps({"ctx": "a", "endings": ["b", "c"]}).encode(), "'label' is missing"),
    (b'{"ctx": "a", "endings": ["b", "c"], "label": 1' + b"0" * 5000 + b"}", "label|digits"),
])
def test_a_line_that_does_not_fit_is_named_with_file_and_number(tmp_path, line, says):
    path = tmp_path / "val.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\n" + line + b"\n")
    questions = read_questions(path)
    next(questions)
    with pytest.raises(QuestionError, match=f"val.jsonl:3: .*({says})"):
        next(questions)


def test_a_file_without_questions_is_refused(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n \n")
    with pytest.raises(QuestionError, match="empty.jsonl: no questions"):
        list(read_questions(path))
