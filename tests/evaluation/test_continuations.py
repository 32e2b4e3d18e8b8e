"""Scores of continuations against sums written out plainly; a context is read once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt import FAST, TEXTBOOK
from npgpt.evaluation import continuations
from npgpt.evaluation.continuations import score_continuations
from npgpt.generation.reader import CachedReader

from ..generation.lively import SMALL, VARIANTS, lively
from .test_text import log_probs

PARAMS = lively()


def plainly(context, ids, params=PARAMS, config=SMALL):
    whole = [*context, *ids][-13:]
    table = log_probs(whole[:-1], params, config)[-len(ids):]
    chosen = table[np.arange(len(ids)), ids]
    return chosen.sum(), bool((table.argmax(axis=-1) == ids).all())


def assert_alike(scored, pairs, **model):
    for found, (context, ids) in zip(scored, pairs, strict=True):
        logprob, greedy = plainly(context, ids, **model)
        assert found.logprob == pytest.approx(logprob, rel=1e-11) and found.greedy == greedy


texts = st.lists(st.integers(0, 28), min_size=1, max_size=15)


@pytest.mark.smoke
@given(st.lists(st.tuples(st.sampled_from([[3], [7, 1, 2], [4] * 11, [5, 6] * 8]) | texts,
                          st.lists(st.integers(0, 28), min_size=1, max_size=12)), max_size=7),
       st.integers(1, 5))
def test_any_pairs_in_any_batches_score_as_one_by_one(pairs, batch_size):
    scored = score_continuations(PARAMS, SMALL, pairs, batch_size=batch_size)
    assert_alike(scored, pairs)


def test_a_greedy_continuation_is_recognised():
    context, ids = [3, 1, 4], []
    for _ in range(5):
        ids.append(int(log_probs([*context, *ids])[-1].argmax()))
    right, wrong = score_continuations(
        PARAMS, SMALL, [(context, ids), (context, [*ids[:-1], (ids[-1] + 1) % 29])])
    assert right.greedy and not wrong.greedy and right.logprob > wrong.logprob


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("ops", [TEXTBOOK, FAST])
def test_every_variant_and_both_sets_of_ops_score_alike(name, ops):
    config = VARIANTS[name]
    params = lively(config)
    pairs = [([1, 2, 3, 4], [5, 6]), ([1, 2, 3, 4], [7]), ([8], [9, 10, 11]), ([2] * 12, [3])]
    assert_alike(score_continuations(params, config, pairs, ops=ops), pairs,
                 params=params, config=config)


def test_a_context_is_read_once_for_all_that_follows_it(monkeypatch):
    read = []

    class Counting(CachedReader):
        def read(self, rows, ids, keep=1):
            read.append((list(rows), ids.shape))
            return super().read(rows, ids, keep)

    monkeypatch.setattr(continuations, "reader_for", lambda ops: Counting)
    context = [3, 1, 4, 1, 5, 9]
    score_continuations(PARAMS, SMALL, [(context, [i, 2]) for i in range(4)])
    assert read == [([0], (1, 5)), ([0, 1, 2, 3], (4, 2))]


def test_little_memory_means_smaller_batches_and_the_same_scores(monkeypatch):
    pairs = [([i + 1, 2], [i, 3]) for i in range(6)]
    expected, seen = score_continuations(PARAMS, SMALL, pairs), []
    monkeypatch.setattr(continuations, "MOST_MEMORY", 1)
    alone = score_continuations(PARAMS, SMALL, pairs, on_progress=seen.append)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert [a.logprob for a in alone] == pytest.approx([e.logprob for e in expected], rel=1e-12)


@pytest.mark.parametrize("pair, says", [
    (([], [1]), "context 2: none were given"), (([1], []), "continuation 2: none were given"),
    (([[1]], [1]), r"context 2: expected ids of shape \(T,\), got \(1, 1\)"),
    (([1],), "pair 2: expected a context and a continuation"), (5, "pair 2: .* got 5"),
    (([29], [1]), "context 2: 29 is outside"), (([1], [1] * 13), "13 tokens exceed the context"),
])
def test_a_pair_that_cannot_be_scored_is_named(pair, says):
    with pytest.raises(ValueError, match=says):
        score_continuations(PARAMS, SMALL, [([1], [2]), pair])
    assert score_continuations(PARAMS, SMALL, []) == []
