"""Which way is taken follows from the time that each takes, here as a made-up clock says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.machine.quicker import FIRST_WAIT, LONGEST_WAIT, TRIAL, Quicker


def ways(seconds, count):
    """The way of each of `count` pieces that take seconds(number, way)."""
    now, taken = 0.0, []
    quicker = Quicker(lambda: now)
    for number in range(count):
        with quicker.piece() as way:
            taken.append(way)
            now += seconds(number, way)
    return taken


@pytest.mark.smoke
@pytest.mark.parametrize("better", [True, False])
def test_the_quicker_way_is_taken_but_for_ever_rarer_trials_of_the_other(better):
    taken = ways(lambda number, way: 1.0 if way is better else 1.5, 5000)
    trials = [n for n, way in enumerate(taken) if way is not better]
    assert len(trials) <= FIRST_WAIT + TRIAL * (5000 // LONGEST_WAIT + 8)
    assert all(n >= 4000 for n in trials[-2 * TRIAL:])       # and never gives up


def test_the_first_pieces_are_done_in_the_first_way_and_then_the_other_is_tried():
    taken = ways(lambda number, way: 1.0, FIRST_WAIT + TRIAL + 1)
    assert taken == [True] * FIRST_WAIT + [False] * TRIAL + [True]


def test_a_machine_that_becomes_crowded_and_free_again_changes_the_way():
    def seconds(number, way):
        crowded = 1000 <= number < 2000
        return (5.0 if crowded else 0.7) if way else 1.0

    taken = ways(seconds, 3000)
    for part, way in ((taken[300:1000], True), (taken[1300:2000], False), (taken[2300:], True)):
        assert sum(w is way for w in part) > 0.95 * len(part)


@given(st.lists(st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)), min_size=20, max_size=400))
def test_with_any_times_each_way_is_tried_and_none_starves(times):
    taken = ways(lambda number, way: times[number][not way], len(times))
    assert set(taken) == {True, False}
    assert taken[:FIRST_WAIT] == [True] * FIRST_WAIT


def test_a_piece_that_fails_is_not_counted():
    now = 0.0
    quicker = Quicker(lambda: now)
    for number in range(40):
        with pytest.raises(ValueError), quicker.piece() as way:
            assert way is True
            raise ValueError
