"""Scores of text against sums written out plainly; a mean over targets, not over batches."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt import FAST, TEXTBOOK, model
from npgpt.evaluation.text import (
    Stopped,
    TextScore,
    count_targets,
    evaluation_batches,
    mean_loss,
    score_text,
)
from npgpt.machine.threads import using
from npgpt.params import init_params
from npgpt.text import BPETokenizer

from ..generation.lively import SMALL, lively

PARAMS = lively()
TEXT = np.random.default_rng(0).integers(0, 29, 53)


def log_probs(ids, params=PARAMS, config=SMALL):
    """log p of each next token after ids (T,): (T, V)."""
    logits = model.logits(params, np.array(ids)[None], config)[0]
    logits -= logits.max(axis=-1, keepdims=True)
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


@pytest.mark.smoke
@pytest.mark.parametrize(
    "window, stride", [(12, 12), (12, 1), (12, 5), (7, 3), (1, 1), (None, None)]
)
@pytest.mark.parametrize("batch_size, workers", [(1, 1), (3, 1), (2, 3)])
def test_each_token_is_scored_once_in_its_first_window(window, stride, batch_size, workers):
    with using(3):
        score = score_text(PARAMS, SMALL, TEXT, window=window, stride=stride,
                           batch_size=batch_size, workers=workers)
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
    score = score_text(params, SMALL, TEXT, stride=4, token_bytes=np.full(29, 2))
    assert math.isclose(score.loss, math.log(29), rel_tol=1e-6)
    assert math.isclose(score.perplexity, 29, rel_tol=1e-5)
    assert math.isclose(score.bits_per_byte, 52 * math.log2(29) / 104, rel_tol=1e-6)


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
    ({"ids": [[1, 2]]}, r"got \(1, 2\)"),
    ({"window": 13}, "window=13 must be an integer from 1 to 12"),
    ({"window": 0}, "window=0"),
    ({"window": 6, "stride": 7}, "stride=7 must be an integer from 1 to 6"),
    ({"stride": 0}, "stride=0"),
    ({"stride": 1.5}, "stride=1.5"),
    ({"batch_size": 0}, "batch_size=0 must be an integer from 1 to 2147483647"),
    ({"workers": 0}, "workers=0 must be an integer from 1 to 2147483647"),
    ({"start_id": 29}, "start_id: 29 is outside"),
    ({"token_bytes": [1] * 28}, r"token_bytes must be \(29,\)"),
    ({"token_bytes": [-1] * 29}, "of at least 0"),
])
def test_an_invalid_text_and_invalid_settings_are_rejected(settings, says):
    with pytest.raises(ValueError, match=says):
        score_text(PARAMS, SMALL, **{"ids": TEXT, **settings})


@pytest.mark.parametrize("start_id", [None, 5])
@pytest.mark.parametrize("batch_size, workers, stride", [(1, 1, 12), (3, 2, 5)])
def test_bits_and_bytes_are_those_of_the_scored_text_alone(start_id, batch_size, workers, stride):
    # ids 5 and 9 are special; the others have 1 to 4 bytes
    sizes = np.random.default_rng(3).integers(1, 5, 29)
    sizes[[5, 9]] = 0
    ids = np.concatenate([TEXT, [5, 9, 5, 3]])
    score = score_text(PARAMS, SMALL, ids, start_id=start_id, token_bytes=sizes, stride=stride,
                       batch_size=batch_size, workers=workers)
    whole = ids if start_id is None else np.append(start_id, ids)
    bits, n_bytes = 0.0, 0
    for target in range(1, len(whole)):
        if sizes[whole[target]]:
            begin = 0
            while begin + 12 < target:
                begin += stride
            bits -= log_probs(whole[begin:target])[-1, whole[target]] / math.log(2)
            n_bytes += int(sizes[whole[target]])
    assert score.n_bytes == n_bytes
    assert math.isclose(score.bits_per_byte, bits / n_bytes, rel_tol=1e-12)
    plain = score_text(PARAMS, SMALL, ids, start_id=start_id, stride=stride)
    assert math.isclose(score.loss, plain.loss, rel_tol=1e-12)


def test_a_uniform_model_has_the_bits_of_its_vocabulary_for_texts_of_one_byte():
    # two files of one letter, with the end of a text between them
    config = SMALL.replace(vocab_size=50257, n_embd=6, n_layer=1)
    params = {name: np.zeros_like(array) for name, array in init_params(config).items()}
    score = score_text(params, config, [64, 50256, 65], start_id=50256,
                       token_bytes=BPETokenizer().token_bytes)
    assert (score.tokens, score.n_bytes) == (3, 2)
    assert math.isclose(score.bits_per_byte, math.log2(50257), rel_tol=1e-6)


def test_bits_per_byte_needs_bytes():
    with pytest.raises(ValueError, match="token_bytes"):
        TextScore(1.0, 1).bits_per_byte
    assert TextScore(math.log(2.0), 1, n_bytes=1).bits_per_byte == 1.0


def test_the_whole_pass_takes_the_ops_given():
    calls = []

    def forward(*args, **settings):
        calls.append("layernorm")
        return TEXTBOOK.layernorm.forward(*args, **settings)

    mine = replace(TEXTBOOK, layernorm=replace(TEXTBOOK.layernorm, forward=forward))
    score_text(PARAMS, SMALL, TEXT[:5], ops=mine)
    assert len(calls) == 2 * SMALL.n_layer + 1


def test_batches_of_unequal_size_weigh_by_their_tokens():
    ids, targets = np.random.default_rng(0).integers(0, 29, (2, 5, 6))
    parts = [(ids[:4], targets[:4]), (ids[4:], targets[4:])]
    whole = float(model.loss(PARAMS, ids, targets, SMALL))
    assert math.isclose(mean_loss(PARAMS, SMALL, parts, ops=TEXTBOOK), whole, rel_tol=1e-12)


def test_targets_may_be_of_the_last_positions_and_some_not_counted():
    ids, targets = np.random.default_rng(0).integers(0, 29, (2, 5, 6))
    targets[:, :4] = -100
    targets[1, 5] = -100
    whole = float(model.loss(PARAMS, ids, targets, SMALL))
    for batches in ([(ids[:2], targets[:2]), (ids[2:], targets[2:])], [(ids, targets[:, -2:])]):
        got = mean_loss(PARAMS, SMALL, batches, ops=TEXTBOOK)
        assert math.isclose(got, whole, rel_tol=1e-12)


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_batches_on_several_workers_give_the_same_bits_and_stop_in_time(workers):
    params = init_params(SMALL)
    rng = np.random.default_rng(1)
    batches = [tuple(rng.integers(0, 29, (2, rows, 6))) for rows in (4, 4, 3, 4, 1)]
    with using(2):
        one_by_one = mean_loss(params, SMALL, batches, ops=FAST)
        seen = []
        at_once = mean_loss(params, SMALL, batches, ops=FAST, workers=workers,
                            on_batch=lambda count: bool(seen.append(count)))
        assert at_once == one_by_one
        assert seen[-1] == 16 * 6 and len(seen) == -(-5 // workers)
        with pytest.raises(Stopped):
            mean_loss(params, SMALL, batches, ops=FAST, workers=workers,
                      on_batch=lambda count: True)


def test_nothing_to_evaluate_on_is_an_error():
    with pytest.raises(ValueError, match="shorter than one sequence"):
        mean_loss(PARAMS, SMALL, [], ops=TEXTBOOK)


@given(n=st.integers(9, 300), batch=st.integers(1, 5), length=st.integers(1, 8))
def test_evaluation_sees_each_target_once(n, batch, length):
    tokens = np.arange(n, dtype=np.uint16)
    batches = list(evaluation_batches(tokens, batch, length))
    assert {array.dtype for pair in batches for array in pair} == {np.dtype(np.int64)}
    targets = [t for _, ts in batches for t in ts.ravel()]
    assert targets == list(range(1, n))


def test_a_few_evaluation_batches_spread_over_the_whole_text():
    tokens = np.arange(1000, dtype=np.uint16)
    starts = [ids[:, 0] for ids, _ in evaluation_batches(tokens, 2, 10, n_batches=3)]
    flat = np.concatenate(starts)
    assert len(flat) == 6 and flat[0] == 0 and flat[-1] == 980
    assert (np.diff(flat.astype(int)) > 150).all()


@given(n=st.integers(9, 200), batch=st.integers(1, 4), n_batches=st.integers(1, 9))
def test_a_few_batches_are_whole_windows_and_no_more_than_there_are(n, batch, n_batches):
    batches = list(evaluation_batches(np.arange(n), batch, 8, n_batches))
    starts = [int(row[0]) for ids, _ in batches for row in ids]
    assert len(starts) == min(n_batches * batch, (n - 1) // 8) == len(set(starts))
    assert all(start % 8 == 0 for start in starts)
    assert all(ids.shape[1] == targets.shape[1] == 8 for ids, targets in batches)


def test_targets_are_counted_as_they_are_evaluated():
    examples = np.array([[[1, 2, 3], [-100, 4, 5]], [[1, 0, 0], [6, -100, -100]]])
    for tokens, wanted in ((np.arange(23), 22), (examples, 3), (examples[:1, :, 1:2], 1)):
        assert count_targets(tokens) == wanted == sum(
            (targets != -100).sum() for _, targets in evaluation_batches(tokens, 2, 5))
