"""The last words of passages, against sums written out plainly."""

import json
import math

import numpy as np
import pytest

from npgpt.evaluation.choices import QuestionError
from npgpt.evaluation.last_word import LastWordScore, read_passages, score_last_words

from ..generation.lively import SMALL, lively
from .test_choices import encode
from .test_text import log_probs

PARAMS = lively()


def some_passages(count):
    rng = np.random.default_rng(2)

    def word(most):
        return "".join(chr(97 + i) for i in rng.integers(0, 26, rng.integers(1, most + 1)))

    return [f"{word(6)} {word(5)} {word(2)}" for _ in range(count)]


def plainly(passage):
    context, _, word = passage.rpartition(" ")
    ids = [*encode(context), *encode(" " + word)][-13:]
    table = log_probs(ids[:-1])[-len(word) - 1:]
    targets = ids[-len(word) - 1:]
    logprob = sum(row[target] for row, target in zip(table, targets))
    return logprob, bool((table.argmax(axis=-1) == targets).all())


@pytest.mark.parametrize("count", [1, 64, 70])
def test_accuracy_and_perplexity_are_those_of_the_last_word(count):
    passages = some_passages(count)
    found = [plainly(passage) for passage in passages]
    seen = []
    score = score_last_words(PARAMS, SMALL, passages, encode, on_progress=seen.append)
    assert score.passages == count
    assert score.nats == pytest.approx(-sum(logprob for logprob, _ in found), rel=1e-11)
    assert score.accuracy == sum(greedy for _, greedy in found) / count
    assert score.perplexity == pytest.approx(math.exp(score.nats / count))
    assert seen[-1] == score and len(seen) == -(-count // 64)


def test_a_word_that_is_greedy_counts_as_right():
    ids = [3, 1, 4]
    while len(ids) < 6:
        ids.append(int(log_probs(ids)[-1].argmax()))
    passage = "-".join(map(str, ids[:3])) + " " + "-".join(map(str, ids[3:]))
    score = score_last_words(PARAMS, SMALL, [passage],
                             lambda text: np.array([int(part) for part in text.split("-")]))
    assert (score.passages, score.right) == (1, 1)


def test_a_perplexity_too_large_for_a_float_is_infinite():
    assert LastWordScore(1, 0, 8000.0).perplexity == math.inf


def test_passages_are_read_from_json_lines_and_from_plain_lines(tmp_path):
    wanted = ["in the beginning", "was the\nword"]
    (tmp_path / "p.jsonl").write_text("\n\n".join(json.dumps({"text": t}) for t in wanted))
    assert list(read_passages(tmp_path / "p.jsonl")) == wanted
    (tmp_path / "p.txt").write_text("in the beginning\n\n  was the word \n")
    assert list(read_passages(tmp_path / "p.txt")) == ["in the beginning", "was the word"]


@pytest.mark.parametrize("name, content, says", [
    ("p.jsonl", '{"text": "two words"}\n{"txt": "two"}', r"p.jsonl:2: .*'text' is missing"),
    ("p.jsonl", '{"text": "one"}', "p.jsonl:1: .*two words"),
    ("p.jsonl", '{"text": "two words "}', "no space at the end"),
    ("p.jsonl", '{"text": 5}', "passage of text, got 5"),
    ("p.jsonl", "\n", "no passages"),
    ("p.txt", "one two\nthree\n", "p.txt:2: expected two words"),
    ("p.txt", "\n \n", "no passages; one a line"),
])
def test_an_invalid_passage_is_named_with_file_and_line(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(QuestionError, match=says):
        list(read_passages(tmp_path / name))


def test_passages_that_cannot_be_scored_are_named():
    with pytest.raises(ValueError, match="no passages"):
        score_last_words(PARAMS, SMALL, [], encode)
    with pytest.raises(ValueError, match="passage 2: expected two words"):
        score_last_words(PARAMS, SMALL, ["a b", "ab"], encode)
