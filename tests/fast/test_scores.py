"""How scores are cut, and what a query sees of its keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.fast import scores


@given(b=st.integers(1, 40), h=st.integers(1, 40), t=st.integers(1, 400),
       past=st.integers(0, 300) | st.integers(scores.LONG - 200, scores.LONG + 200))
def test_stacks_and_blocks_hold_every_score_exactly_once(b, h, t, past):
    s = t + past
    hits = np.zeros((b, h), int)
    for part in scores.cut_stacks(b, h, t, s):
        hits[part] += 1
    assert (hits == 1).all()
    blocks = scores.cut_blocks(t, s)
    assert [start for start, _, _ in blocks] == [0] + [stop for _, stop, _ in blocks[:-1]]
    assert blocks[-1][1:] == (t, s)
    # the last query of a block sees all the block's keys, and no query more than them
    assert all(seen == past + stop for _, stop, seen in blocks)


@pytest.mark.parametrize("offset", [0, 4])
def test_the_maximum_is_over_what_a_query_sees(offset):
    z = np.random.default_rng(0).standard_normal((2, 3, 5, 5 + offset))
    z[0, 0, 2, offset + 3] = np.inf                 # ahead of query 2
    got = scores.visible_maximum(z, offset)
    for query in range(5):
        np.testing.assert_array_equal(
            got[:, :, query, 0], z[:, :, query, :offset + query + 1].max(axis=-1))
    np.testing.assert_array_equal(~scores.ahead(5), np.tri(5, dtype=bool))


def test_from_a_length_on_blocks_are_tall():
    for keys, queries in ((scores.LONG - 1, scores.QUERIES), (3 * scores.TALL + 1, scores.TALL)):
        sizes = [stop - start for start, stop, _ in scores.cut_blocks(keys, keys)]
        assert set(sizes[:-1]) == {queries} and 0 < sizes[-1] <= queries


@given(n=st.integers(1, scores.TALL), before=st.integers(0, 3 * scores.TALL),
       past=st.integers(0, 50))
def test_spans_hold_every_visible_score_once_in_tiles_of_bounded_size(n, before, past):
    seen = before + n
    hits = np.zeros((n, seen), int)
    for keys, first, visible in scores.cut_keys(n, seen, seen + past):
        tile = hits[first:, keys]
        assert tile.size <= scores.STACK or seen + past < scores.LONG
        tile += 1
        # of the square behind what all see, the half ahead is masked
        square = tile[:tile.shape[1] - visible, visible:]
        assert square.shape[0] == square.shape[1]
        square -= scores.ahead(len(square))
    np.testing.assert_array_equal(hits, np.tri(n, seen, before))
