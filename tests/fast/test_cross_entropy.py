"""The loss in runs and groups: ignored targets, borders, and arrays that are not ours."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.fast import cross_entropy as fast
from npgpt.fast.blocks import BLOCK, run_length
from npgpt.layers import cross_entropy as textbook
from npgpt.machine import threads


def example(n, vocab, ignored=0.3, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, vocab, n)
    targets[rng.random(n) < ignored] = -100
    return 3 * rng.standard_normal((n, vocab)), targets


def head(n, channels, vocab, seed=0):
    rng = np.random.default_rng(seed)
    logits, targets = example(n, vocab, seed=seed)
    return rng.standard_normal((n, channels)), rng.standard_normal((vocab, channels)), targets


def assert_close(got, wanted):
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    assert np.linalg.norm(got - wanted) <= 1e-12 * max(np.linalg.norm(wanted), 1e-3)


def assert_same_as_textbook(logits, targets, dloss=-1.7, **settings):
    wanted, cache = textbook.cross_entropy_forward(logits, targets, **settings)
    loss, fast_cache = fast.cross_entropy_forward(logits, targets, **settings)
    assert_close(loss, wanted)
    dloss = np.asarray(dloss)
    dlogits, none = fast.cross_entropy_backward(dloss, fast_cache)
    assert none is None
    assert_close(dlogits, textbook.cross_entropy_backward(dloss, cache)[0])
    return dlogits


@pytest.mark.parametrize("rows", [-1, 0, 1, 9])
def test_rows_around_the_length_of_a_run_are_the_textbook(rows):
    vocab = BLOCK // 5
    assert_same_as_textbook(*example(run_length(vocab) + rows, vocab))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_threads_and_a_vocabulary_beyond_a_block_change_nothing(n):
    with threads.using(n):
        for vocab in (BLOCK - 1, BLOCK + 1):
            assert_same_as_textbook(*example(9, vocab))


@given(
    n=st.integers(0, 30), vocab=st.integers(1, 12), ignored=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_ignored_targets_count_for_nothing_and_get_no_gradient(n, vocab, ignored, seed):
    logits, targets = example(n, vocab, ignored, seed)
    dlogits = assert_same_as_textbook(logits, targets)
    assert not dlogits[targets == -100].any()
    logits[targets == -100] = 1e3
    loss, _ = fast.cross_entropy_forward(logits, targets)
    counted = targets != -100
    of_counted, _ = fast.cross_entropy_forward(logits[counted], targets[counted])
    np.testing.assert_allclose(loss, of_counted, rtol=1e-13)


@pytest.mark.parametrize("ignore_index", [0, 3, -1, 99])
def test_any_number_may_be_the_ignored_one(ignore_index):
    logits, targets = example(13, 5, ignored=0.0)
    targets[2::3] = ignore_index
    assert_same_as_textbook(logits, targets, ignore_index=ignore_index)


@pytest.mark.parametrize("wrong", [7, -1, -101])
def test_a_target_outside_the_vocabulary_is_named(wrong):
    logits, targets = example(5, 7)
    targets[3] = wrong
    with pytest.raises(ValueError, match=rf"targets: {wrong} .*\[0, 7\)"):
        fast.cross_entropy_forward(logits, targets)
    with pytest.raises(ValueError, match=r"logits \(1, 5, 7\): targets \(1, 5\); got \(5,\)"):
        fast.cross_entropy_forward(logits[None], targets)


def test_a_token_that_cannot_come_and_logits_of_ten_thousand_are_no_trouble():
    logits, targets = example(6, 7, ignored=0.0)
    targets[:] = 2
    logits[:, 4], logits[1, 2], logits[2, 3] = -np.inf, 1e4, -1e4
    dlogits = assert_same_as_textbook(logits, targets)
    assert not dlogits[:, 4].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_arrays_given_are_left_as_they_were(dtype):
    n, channels, vocab = 9, 4, 7
    x, weight, targets = head(n, channels, vocab)
    logits = (x @ weight.T).astype(dtype)
    x, weight = x.astype(dtype), weight.astype(dtype)
    arrays = [logits, x, weight, targets]
    before = [a.copy() for a in arrays]
    for array in arrays:
        array.flags.writeable = False
    _, cache = fast.cross_entropy_forward(logits, targets)
    dlogits, _ = fast.cross_entropy_backward(np.ones((), dtype), cache)
    dlogits += 1
    _, head_cache = fast.linear_cross_entropy_forward(x, weight, targets)
    dx, dweight, _ = fast.linear_cross_entropy_backward(np.ones((), dtype), head_cache)
    dx += 1
    dweight += 1
    fast.linear_cross_entropy_inference(x, weight, targets)
    for array, old in zip(arrays, before):
        np.testing.assert_array_equal(array, old)
    # and a second backward knows nothing of what was done to the first one's gradients
    np.testing.assert_array_equal(
        fast.cross_entropy_backward(np.ones((), dtype), cache)[0] + 1, dlogits
    )


@pytest.mark.parametrize("dloss", [1.0, -2.5, 0.0])
def test_the_loss_from_the_channels_is_the_textbooks_for_any_dloss(dloss):
    x, weight, targets = head(11, 4, 7)
    x, targets = x[:10].reshape(2, 5, 4), targets[:10].reshape(2, 5)
    wanted, cache = textbook.linear_cross_entropy_forward(x, weight, targets)
    loss, fast_cache = fast.linear_cross_entropy_forward(x, weight, targets)
    assert_close(loss, wanted)
    for _ in range(2):
        got = fast.linear_cross_entropy_backward(np.asarray(dloss), fast_cache)
        for a, b in zip(got, textbook.linear_cross_entropy_backward(np.asarray(dloss), cache)):
            assert (a is None and b is None) or assert_close(a, b) is None


@pytest.mark.parametrize("positions", [1, 2, 5, 12, 13, 40])
@pytest.mark.parametrize("counted", [13, 8, 1, 0])
def test_the_loss_in_groups_is_the_loss_of_the_whole(positions, counted):
    x, weight, targets = head(13, 4, 7)
    targets[:] = np.arange(13) % 7
    targets[:13 - counted] = -100
    wanted, _ = textbook.linear_cross_entropy_forward(x, weight, targets)
    loss = fast.linear_cross_entropy_inference(x, weight, targets, group=positions * 7)
    assert_close(loss, wanted)


def test_inference_takes_and_rejects_what_the_forward_takes_and_rejects():
    x, weight, targets = head(6, 4, 7)
    x, targets, table = x.reshape(2, 3, 4), targets.reshape(2, 3), weight.astype(np.float32)
    loss, _ = fast.linear_cross_entropy_forward(x, table, targets)
    assert_close(fast.linear_cross_entropy_inference(x, table, targets), loss)
    for wrong in ((x, weight, targets.T), (x, weight[:, :3], targets), (x * 1j, weight, targets)):
        messages = set()
        for layer in (fast.linear_cross_entropy_forward, fast.linear_cross_entropy_inference):
            with pytest.raises((TypeError, ValueError)) as caught:
                layer(*wrong)
            messages.add(str(caught.value))
        assert len(messages) == 1, messages
    with pytest.raises(TypeError, match="fast ops expect float32 or float64, got float16"):
        fast.cross_entropy_forward(np.zeros((3, 7), np.float16), targets[0])


def test_inference_never_holds_all_the_logits():
    # a group has 2**24 logits: four and a half of them here
    n, vocab = 72, 2**20
    weight = np.linspace(-1, 1, vocab, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, n, dtype=np.float32)[:, None]
    # one thread: without the GIL, what a sleeping one made is freed when it runs again
    with threads.using(1):
        tracemalloc.start()
        try:
            loss = fast.linear_cross_entropy_inference(x, weight, np.arange(n))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 13 < float(loss) < 15
    assert peak < n * vocab * 4 / 2
