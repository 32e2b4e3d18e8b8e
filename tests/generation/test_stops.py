"""Text is passed on up to a stop string, whatever pieces it comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.generation.stops import StopGuard

words = st.text("ab\n", max_size=12)


@given(st.lists(words, max_size=6), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3))
def test_the_pieces_joined_are_the_text_before_the_first_stop(pieces, strings):
    guard = StopGuard(strings)
    shown = "".join(guard.add(piece) for piece in pieces) + guard.flush()
    text = "".join(pieces)
    # the first piece that completes a stop decides
    end, stopped = len(text), False
    for count in range(len(pieces) + 1):
        so_far = "".join(pieces[:count])
        found = [so_far.find(string) for string in strings if string in so_far]
        if found:
            end, stopped = min(found), True
            break
    assert shown == text[:end]
    assert guard.stopped == stopped


@given(words, st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3))
def test_what_is_buffered_could_be_the_start_of_a_stop(text, strings):
    guard = StopGuard(strings)
    shown = "".join(guard.add(character) for character in text)
    held = text[len(shown):]
    if not guard.stopped:
        assert held == "" or any(string.startswith(held) for string in strings)


def test_nothing_is_shown_after_a_stop():
    guard = StopGuard("END")
    assert [guard.add(piece) for piece in ("one E", "ND two", "three")] == ["one ", "", ""]
    assert guard.stopped and guard.flush() == ""


@pytest.mark.parametrize("strings", ["", ["a", ""], [3]])
def test_stop_strings_must_be_text(strings):
    with pytest.raises(ValueError, match="at least one character"):
        StopGuard(strings)
