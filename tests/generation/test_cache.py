"""A cached pass equals the full one, whatever the chunks, rows and variant."""

import numpy as np
import pytest

from npgpt import model
from npgpt.generation.cache import KVCache

from .lively import SMALL, VARIANTS, lively
from .plain import assert_same

pytestmark = pytest.mark.smoke


def read(params, config, cache, rows, ids):
    positions = cache.positions(rows, ids.shape[1])
    x = model.hidden(params, ids, config, attend=cache.attend(rows), positions=positions)
    cache.advance(rows, ids.shape[1])
    return x


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("chunks", [[12], [7, 1, 1, 1, 1, 1], [3, 4, 5], [1] * 12])
def test_chunks_give_what_one_full_pass_gives(config, chunks):
    params = lively(config)
    ids = np.random.default_rng(1).integers(0, config.vocab_size, (2, 12))
    cache = KVCache(config, 2, dtype=np.float64)
    ends = np.cumsum(chunks)
    parts = [read(params, config, cache, [0, 1], ids[:, end - n:end])
             for end, n in zip(ends, chunks)]
    full = model.hidden(params, ids, config)
    assert np.abs(full).max() > 0.5
    assert_same(np.concatenate(parts, axis=1), full)


def test_rows_of_different_lengths_do_not_mix():
    params = lively()
    rng = np.random.default_rng(2)
    texts = [rng.integers(0, 29, n) for n in (9, 4, 6, 4)]
    cache = KVCache(SMALL, 4, dtype=np.float64)
    for row in (2, 0, 3, 1):
        read(params, SMALL, cache, [row], texts[row][None, :-2])
    for rows in ([3, 0], [1, 2]):
        last_two = np.stack([texts[row][-2:] for row in rows])
        x = read(params, SMALL, cache, rows, last_two)
        for got, row in zip(x, rows):
            full = model.hidden(params, texts[row][None], SMALL)[0, -2:]
            assert_same(got, full)
    assert cache.lengths.tolist() == [9, 4, 6, 4]


@pytest.mark.parametrize("rows", [[0, 2], [2, 1, 0], [1, 2]])
def test_rows_of_one_length_need_not_be_neighbours_nor_in_order(rows):
    params = lively()
    ids = np.random.default_rng(7).integers(0, 29, (3, 8))
    cache = KVCache(SMALL, 3, dtype=np.float64)
    read(params, SMALL, cache, [0, 1, 2], ids[:, :5])
    x = read(params, SMALL, cache, rows, ids[rows, 5:])
    assert_same(x, model.hidden(params, ids[rows], SMALL)[:, 5:])


def test_fresh_rows_beside_others_are_read_from_their_start():
    params = lively()
    ids = np.random.default_rng(3).integers(0, 29, (3, 5))
    cache = KVCache(SMALL, 3, dtype=np.float64)
    read(params, SMALL, cache, [1], ids[1:2])
    x = read(params, SMALL, cache, [0, 1, 2], ids)
    assert_same(x[[0, 2]], model.hidden(params, ids[[0, 2]], SMALL))
    twice = np.concatenate([ids[1:2], ids[1:2]], axis=1)
    assert_same(x[1:2], model.hidden(params, twice, SMALL)[:, 5:])


def test_a_cut_row_goes_on_from_where_it_was_cut():
    params = lively()
    ids = np.random.default_rng(4).integers(0, 29, (1, 12))
    cache = KVCache(SMALL, 1, dtype=np.float64)
    read(params, SMALL, cache, [0], (ids + 1) % 29)
    cache.cut(0, 0)
    read(params, SMALL, cache, [0], ids[:, :10])
    cache.cut(0, 6)
    x = read(params, SMALL, cache, [0], ids[:, 6:])
    assert_same(x, model.hidden(params, ids, SMALL)[:, 6:])


def test_a_copied_row_goes_on_alone():
    params = lively()
    ids = np.random.default_rng(5).integers(0, 29, (2, 8))
    ids[1, :5] = ids[0, :5]
    cache = KVCache(SMALL, 2, dtype=np.float64)
    read(params, SMALL, cache, [0], ids[:1, :5])
    cache.copy(0, 1)
    x = read(params, SMALL, cache, [0, 1], ids[:, 5:])
    assert_same(x, model.hidden(params, ids, SMALL)[:, 5:])


def test_a_pass_without_advance_leaves_no_trace():
    params = lively()
    ids = np.random.default_rng(6).integers(0, 29, (1, 8))
    cache = KVCache(SMALL, 1, dtype=np.float64)
    read(params, SMALL, cache, [0], ids[:, :5])
    model.hidden(params, ids[:, :3], SMALL, attend=cache.attend([0]), positions=np.arange(5, 8))
    x = read(params, SMALL, cache, [0], ids[:, 5:])
    assert_same(x, model.hidden(params, ids, SMALL)[:, 5:])


def test_more_tokens_than_the_capacity_are_rejected():
    cache = KVCache(SMALL, 2, capacity=6)
    cache.advance([1], 4)
    assert cache.positions([0], 6).tolist() == [[0, 1, 2, 3, 4, 5]]
    with pytest.raises(ValueError, match="4 tokens and 3 more exceed the cache's capacity of 6"):
        cache.positions([0, 1], 3)


@pytest.mark.parametrize("capacity", [0, 13])
def test_a_capacity_beyond_the_context_is_rejected(capacity):
    with pytest.raises(ValueError, match=f"capacity={capacity} must be an integer from 1 to 12"):
        KVCache(SMALL, capacity=capacity)


@pytest.mark.parametrize("length", [-1, 4])
def test_a_row_cannot_be_cut_to_more_than_it_holds(length):
    cache = KVCache(SMALL)
    cache.advance([0], 3)
    with pytest.raises(ValueError, match="of 3 tokens"):
        cache.cut(0, length)
