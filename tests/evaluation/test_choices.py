"""Answers to questions, against sums written out plainly."""

import json

import numpy as np
import pytest

from npgpt.evaluation.choices import (
    ChoiceScore,
    Question,
    QuestionError,
    read_questions,
    score_questions,
)

from ..generation.lively import SMALL, lively
from .test_text import log_probs

PARAMS = lively()


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


def test_the_ending_of_highest_log_probability_is_chosen_in_three_ways():
    questions = some_questions(60)
    by_sum = by_tokens = by_characters = 0
    for question in questions:
        sums = [ending_score(question.context, ending) for ending in question.endings]
        # a letter is a token here, and the space before an ending is one without a character
        tokens = [s / (len(ending) + 1) for s, ending in zip(sums, question.endings)]
        characters = [s / len(ending) for s, ending in zip(sums, question.endings)]
        by_sum += int(np.argmax(sums)) == question.label
        by_tokens += int(np.argmax(tokens)) == question.label
        by_characters += int(np.argmax(characters)) == question.label
    progress = []
    score = score_questions(PARAMS, SMALL, questions, encode, on_progress=progress.append)
    assert score == ChoiceScore(60, by_sum, by_tokens, by_characters)
    assert len({by_sum, by_tokens, by_characters}) == 3
    assert (score.accuracy, score.accuracy_by_tokens, score.accuracy_by_characters) == (
        by_sum / 60, by_tokens / 60, by_characters / 60)
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
def test_questions_that_the_model_cannot_answer_are_named(question, says):
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
    (b"{", "Expecting property name"),
    (b"[1]", r"is not a JSON object: got \[1\]"),
    (b"\xff", "is not UTF-8 text: invalid byte 0xff at 0"),
    (b"[" * 100_000, "nested more than 64 levels"),
    (json.dumps({**GOOD, "label": 4}).encode(), "0 to 3; got 4"),
    (json.dumps({**GOOD, "label": ""}).encode(), "unlabelled split"),
    (json.dumps({**GOOD, "label": True}).encode(), "got True"),
    (json.dumps({**GOOD, "label": -1}).encode(), "got -1"),
    (json.dumps({**GOOD, "endings": ["one"]}).encode(), "two or more"),
    (json.dumps({**GOOD, "endings": "four"}).encode(), "two or more texts; got 'four'"),
    (json.dumps({**GOOD, "endings": ["one", 2]}).encode(), "'endings' must be text; got 2"),
    (json.dumps({**GOOD, "ctx": 5}).encode(), "'ctx' must be text; got 5"),
    (json.dumps({"ctx": "a", "endings": ["b", "c"]}).encode(), "'label' is missing or empty"),
    (b'{"ctx": "a", "endings": ["b", "c"], "label": 1' + b"0" * 5000 + b"}", "300 digits"),
])
def test_an_invalid_line_is_named_with_file_and_number(tmp_path, line, says):
    path = tmp_path / "val.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\n" + line + b"\n")
    questions = read_questions(path)
    next(questions)
    with pytest.raises(QuestionError, match=f"val.jsonl:3: .*({says})"):
        next(questions)


def test_a_byte_order_mark_is_skipped_and_an_endless_line_is_not_read(tmp_path):
    path = tmp_path / "val.jsonl"
    path.write_text(json.dumps(GOOD), encoding="utf-8-sig")
    assert len(list(read_questions(path))) == 1
    with path.open("r+b") as file:
        file.truncate(2**33)                # a hole: it takes no room on the disk
    with pytest.raises(QuestionError, match="val.jsonl:1: .*at most 1,048,576 bytes"):
        next(read_questions(path))


def test_a_file_without_questions_is_rejected(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n \n")
    with pytest.raises(QuestionError, match="empty.jsonl: no questions"):
        list(read_questions(path))
