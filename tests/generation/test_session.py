"""A session writes what a fresh engine would, and reads every token once."""

import numpy as np
import pytest

from npgpt.generation import Session

from .lively import LONG, SMALL, lively
from .plain import CountingReader, generate, stream

PARAMS = lively()
LONG_PARAMS = lively(LONG)


def test_the_first_reply_equals_a_stream_of_the_same_seed():
    session = Session(PARAMS, SMALL, seed=4)
    session.extend([3, 1, 4])
    assert list(session.reply(15)) == list(stream(PARAMS, SMALL, [3, 1, 4], 15, seed=4))


@pytest.mark.smoke
@pytest.mark.parametrize("speculate", [False, True])
def test_each_reply_continues_the_whole_text(speculate):
    session = Session(LONG_PARAMS, LONG, seed=4)
    text = []
    for turn in ([3, 1, 4, 1], [5, 9], [2], [6, 5, 3, 5, 5, 5]):
        session.extend(turn)
        text += turn
        expected = generate(LONG_PARAMS, LONG, text, 12, temperature=0)[len(text):].tolist()
        reply = session.reply(12, temperature=0, speculate=speculate)
        assert [token.id for token in reply] == expected
        text += expected
        assert session.ids.tolist() == text


def test_a_turn_reads_only_what_is_new():
    session = Session(LONG_PARAMS, LONG, seed=0, reader=CountingReader)
    session.extend(range(10))
    list(session.reply(3))
    session.extend([1, 2, 3, 4])
    list(session.reply(2))
    # the last token of a reply is read with the next turn
    assert CountingReader.latest.counts == [10, 1, 1, 1 + 4, 1]


def test_a_reply_without_new_text_goes_on():
    session = Session(LONG_PARAMS, LONG, seed=0, reader=CountingReader)
    session.extend([7, 8, 9])
    list(session.reply(4, temperature=0))
    list(session.reply(4, temperature=0))
    np.testing.assert_array_equal(
        session.ids, generate(LONG_PARAMS, LONG, [7, 8, 9], 8, temperature=0)
    )
    assert CountingReader.latest.counts == [3] + [1] * 7


@pytest.mark.parametrize("speculate", [False, True])
@pytest.mark.parametrize("taken", range(1, 9))
def test_a_reply_left_early_keeps_what_was_delivered_and_nothing_else(taken, speculate):
    session = Session(LONG_PARAMS, LONG, seed=0)
    session.extend([1, 2, 3, 1, 2, 3, 1, 2])
    reply = session.reply(30, temperature=0, speculate=speculate)
    got = [next(reply).id for _ in range(taken)]
    reply.close()
    text = [1, 2, 3, 1, 2, 3, 1, 2] + got
    assert session.ids.tolist() == text
    session.extend([4, 5])
    expected = generate(LONG_PARAMS, LONG, text + [4, 5], 10, temperature=0)
    list(session.reply(10, temperature=0))
    np.testing.assert_array_equal(session.ids, expected)


@pytest.mark.smoke
@pytest.mark.parametrize("speculate", [False, True])
@pytest.mark.parametrize("more", [[], [7], [4, 5, 6, 7, 8]])
@pytest.mark.parametrize("taken", [0, 3])
def test_an_interrupt_within_a_pass_leaves_the_session_usable(speculate, more, taken):
    session = Session(LONG_PARAMS, LONG, seed=0, reader=CountingReader)
    session.extend([1, 2, 3, 1, 2, 3, 1, 2])
    reply = session.reply(30, temperature=0, speculate=speculate)
    for _ in range(taken):
        next(reply)
    CountingReader.latest.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        list(reply)
    text = session.ids.tolist()
    if more:
        session.extend(more)
    expected = generate(LONG_PARAMS, LONG, text + more, 6, temperature=0)
    list(session.reply(6, temperature=0))
    np.testing.assert_array_equal(session.ids, expected)


def test_a_session_slides_past_the_context_and_says_so_once():
    slid = []
    session = Session(PARAMS, SMALL, seed=0, on_slide=slid.append)
    text = []
    for turn in ([1, 2, 3], [4] * 7, [5, 6]):
        session.extend(turn)
        text = generate(PARAMS, SMALL, text + turn, 5, temperature=0).tolist()
        list(session.reply(5, temperature=0))
        assert session.ids.tolist() == text
    assert slid == [0]


def test_a_session_without_text_has_nothing_to_reply_to():
    with pytest.raises(ValueError, match="no text to continue; call extend"):
        Session(PARAMS, SMALL).reply(3)


@pytest.mark.parametrize("ids", [[], [29], [1.5], [[1, 2]]])
def test_text_that_does_not_fit_is_rejected_and_changes_nothing(ids):
    session = Session(PARAMS, SMALL)
    session.extend([1])
    with pytest.raises(ValueError):
        session.extend(ids)
    assert session.ids.tolist() == [1]


@pytest.mark.parametrize("settings", [
    {"max_new_tokens": -1}, {"max_new_tokens": 3, "top_k": -1},
    {"max_new_tokens": 3, "stop": "x"}, {"max_new_tokens": 3, "stop_ids": [29]},
])
def test_reply_settings_are_checked_at_the_call(settings):
    session = Session(PARAMS, SMALL)
    session.extend([1])
    with pytest.raises(ValueError):
        session.reply(**settings)


def test_an_unknown_setting_is_named_with_the_nearest():
    with pytest.raises(TypeError, match=r"unknown setting 'topk' \(did you mean 'top_k'"):
        Session(PARAMS, SMALL).reply(3, topk=1)
