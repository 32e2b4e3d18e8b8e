"""A pair as it is now, at the given inputs and at others, beside the gradients that are true."""

import numpy as np
import pytest

from npgpt.doctor.evidence.measure import measure
from npgpt.doctor.evidence.subject import CallError, Subject
from npgpt.doctor.repairs.worlds import ORDERS, Elsewhere, OutChanged, World, elsewhere, grown


def forward(x, w):
    return x @ w, (x, w)


def backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout


def wrong(dout, cache):
    x, w = cache
    return 2 * (dout @ w.T), x.T @ dout


def subject(back=backward, seed=0):
    rng = np.random.default_rng(seed)
    return Subject(forward, back, (rng.standard_normal((3, 4)), rng.standard_normal((4, 2))), {})


def world(back=backward):
    return World(measure(subject(back), np.random.default_rng(1), [0, 1]))


def test_the_gradients_of_a_right_pair_are_right_and_of_a_wrong_one_the_right_ones_only():
    for back, right in ((backward, {0, 1}), (wrong, {1})):
        here = world(back)
        assert here.right(0, here.run(0)) == right
        there = Elsewhere(subject(back, seed=5), [0, 1])
        assert there.right(0, there.run(0)) == right


def test_what_is_missing_to_the_truth_is_a_row_of_all_wanted_gradients():
    here = world(wrong)
    error = here.error(0, here.run(0), [0])
    np.testing.assert_allclose(error, -here.m.numeric[0][0], rtol=1e-9)


def test_another_out_is_no_repair_of_backward():
    here = world()
    here.out = here.out + 1.0
    with pytest.raises(CallError) as caught:
        here.run(0)
    assert isinstance(caught.value.error, OutChanged)


def test_elsewhere_are_other_values_and_orders_and_then_each_size_in_turn_a_little_larger():
    given = subject()
    moved, *rest = [ways[0] for ways in elsewhere(given)]
    turned, larger = rest[:ORDERS], rest[ORDERS:]
    for one in turned:      # the signs of the given values, each at another place
        assert one.array(0).shape == (3, 4)
        assert np.sum(one.array(0) > 0) == np.sum(given.array(0) > 0)
        assert np.any((one.array(0) > 0) != (given.array(0) > 0))
    assert [moved.shape(i) for i in (0, 1)] == [(3, 4), (4, 2)]
    assert not np.array_equal(moved.array(0), given.array(0))
    shapes = [tuple(one.shape(i) for i in (0, 1)) for one in larger]
    assert shapes == [((3, 4), (4, 5)), ((5, 4), (4, 2)), ((3, 5), (5, 2))]
    assert all(one.run()[0].shape == (a[0], b[1]) for one, (a, b) in zip(larger, shapes))


def test_a_longer_axis_begins_again_or_ends_in_zeros():
    a = np.arange(6.0).reshape(2, 3)
    assert grown(a, 3, 4, False, True).tolist() == [[0, 1, 2, 0], [3, 4, 5, 3]]
    assert grown(a, 3, 4, False, False).tolist() == [[0, 1, 2, 0], [3, 4, 5, 0]]
    assert grown(np.arange(6.0), 3, 4, True, True).tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
