"""BPE and windows of the doctor: without a mistake they give what the package gives."""

import numpy as np
import pytest

from npgpt.doctor.values import text
from npgpt.text.bpe import gpt2_encoding, mergeable_ranks


def test_bpe_encodes_as_gpt2_does():
    ranks = mergeable_ranks()
    for word in (b"unbelievable", " naïveté".encode(), b"aaaaaaa"):
        tokens = text.bpe_encode(word, _merges_within(word, ranks))
        assert [ranks[token] for token in tokens] == gpt2_encoding().encode_ordinary(word.decode())


def _merges_within(word, ranks):
    """The merges of GPT-2 that can happen in a word, by rank: each is its parts at that rank."""
    pieces = {word[i:j] for i in range(len(word)) for j in range(i + 2, len(word) + 1)}
    merges = []
    for token in sorted((p for p in pieces if p in ranks), key=ranks.get):
        left, right = text.bpe_encode(token, merges)
        merges.append((left, right))
    return merges


def test_bpe_learns_the_most_frequent_pair_first():
    assert text.bpe_train(b"abab cab", 2) == [(b"a", b"b"), (b"ab", b"ab")]
    assert text.bpe_train(b"a", 3) == []


def test_windows_and_their_targets():
    x, y = text.windows(np.arange(9), length=4)
    assert x.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]] and (y == x + 1).all()


def split(ids, length):
    return [(ids[n:n + length], ids[n + 1:n + 1 + length])
            for n in range(0, len(ids) - length, length)]


@pytest.mark.parametrize("mine", [
    split,
    lambda ids, length: [[x.tolist(), y.tolist()] for x, y in split(ids, length)],
    lambda ids, length: (pair for pair in split(ids, length)),
    lambda ids, length: [[*part] for part in zip(*split(ids, length), strict=True)],
    lambda ids, length: tuple(np.array(part) for part in zip(*split(ids, length), strict=True)),
    lambda ids, length: np.array(split(ids, length)).swapaxes(0, 1),
])
@pytest.mark.parametrize("windows", [2, 3])
def test_windows_may_come_in_pairs_or_all_inputs_first(mine, windows):
    ids = np.arange(4 * windows + 1)
    if windows == 2 and isinstance(mine(ids, 4), list) and isinstance(mine(ids, 4)[0], list):
        return      # it may be either
    right = text.windows(ids, length=4)
    got = text.run_windows(mine, (ids,), {"length": 4})
    assert all(np.array_equal(a, b) for a, b in zip(right, got, strict=True))


def test_windows_of_different_lengths_stay_as_they_are():
    pairs = [(np.arange(3), np.arange(3)), (np.arange(2), np.arange(2)), (np.arange(3),) * 2]
    assert text.run_windows(lambda ids, length: pairs, (np.arange(9),), {"length": 3}) is pairs


def test_mistakes_at_the_end_of_the_text_and_between_windows():
    ids = np.arange(10, 20)
    made = {value: text.windows(ids, length=3, wrong={"targets-shifted-twice": value})[1][-1, -1]
            for value in (1, 2, 3)}
    assert made == {1: 19, 2: 0, 3: 17}
    assert text.windows(ids, length=3, wrong={"windows-one-apart": 1})[0][1][0] == 14
    assert len(text.windows(ids, length=3, wrong={"windows-overlap": 1})[0]) == 7
    assert text.bpe_train(b"a b a b", 1, wrong={"cut-at-spaces": 2}) == []
