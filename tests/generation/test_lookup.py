"""Drafts repeat what followed before, and their length follows their luck."""

from hypothesis import given
from hypothesis import strategies as st

from npgpt.generation.lookup import (
    FIRST_DRAFT,
    LONGEST_DRAFT,
    LONGEST_MATCH,
    SHORTEST_MATCH,
    next_length,
    propose,
)


def test_the_draft_is_what_followed_the_same_tokens_before():
    assert propose([1, 2, 3, 4, 5, 9, 9, 1, 2, 3], 3) == [4, 5, 9]


def test_the_latest_repetition_decides():
    assert propose([1, 2, 7, 1, 2, 8, 1, 2], 1) == [8]


def test_a_longer_match_beats_a_later_one():
    assert propose([5, 1, 2, 7, 0, 1, 2, 8, 5, 1, 2], 1) == [7]


def test_a_repetition_up_to_the_end_goes_on_with_itself():
    assert propose([3, 1, 2, 1, 2], 5) == [1, 2, 1, 2, 1]
    assert propose([4, 4, 4], 3) == [4, 4, 4]


def test_text_without_repetition_gives_no_draft():
    assert propose([1, 2, 3, 4, 1, 3], 5) == []
    assert propose([1], 5) == []
    assert propose([1, 1, 1, 1], 0) == []


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 20))
def test_every_draft_continues_an_earlier_place_that_reads_like_the_end(text, count):
    draft = propose(text, count)
    assert len(draft) in (0, count)
    if draft:
        # text + draft, read with a period p, must repeat itself from the match to its end
        whole = text + draft
        assert any(
            whole[len(text) - SHORTEST_MATCH:] == whole[len(text) - SHORTEST_MATCH - p:-p]
            for p in range(1, len(text) - SHORTEST_MATCH + 1)
        )


@given(st.lists(st.integers(0, 2), min_size=3, max_size=40))
def test_a_draft_is_found_whenever_the_last_tokens_came_before(text):
    ending = text[-SHORTEST_MATCH:]
    came_before = any(
        text[i:i + SHORTEST_MATCH] == ending for i in range(len(text) - SHORTEST_MATCH)
    )
    assert bool(propose(text, 1)) == came_before
    assert SHORTEST_MATCH <= LONGEST_MATCH


def test_draft_length_grows_with_success_and_shrinks_with_failure():
    assert next_length(FIRST_DRAFT, 0, 0) == FIRST_DRAFT
    length = FIRST_DRAFT
    for _ in range(9):
        length = next_length(length, length, length)
    assert length == LONGEST_DRAFT
    assert next_length(LONGEST_DRAFT, LONGEST_DRAFT, 2) == 3
    assert next_length(3, 3, 0) == 1
    assert next_length(1, 1, 1) == 2
