from __future__ import annotations

import weakref

import numpy as np
import pytest

from npgpt import Op, Tape, TapeError, Var

double = Op("double", lambda x: (2.0 * x, None), lambda dout, _: (2.0 * dout,))
add = Op("add", lambda a, b: (a + b, None), lambda dout, _: (dout, dout))
times = Op("times", lambda a, b: (a * b, (a, b)), lambda dout, c: (dout * c[1], dout * c[0]))


def test_plain_arrays_give_plain_arrays_and_write_nothing():
    tape = Tape()
    out = double(np.array([1.0, 2.0]))
    assert type(out) is np.ndarray and tape.entries == []
    np.testing.assert_array_equal(out, [2.0, 4.0])


def test_a_var_gives_a_var_on_the_same_tape_and_one_entry():
    tape = Tape()
    x = tape.watch(np.array([1.0, 2.0]))
    y = double(x)
    assert isinstance(y, Var) and y.tape is tape and y.shape == (2,)
    np.testing.assert_array_equal(y.value, [2.0, 4.0])
    (entry,) = tape.entries
    assert entry.op is double and entry.inputs == (x,) and entry.out is y


def test_the_chain_rule_holds_for_a_hand_calculation():
    tape = Tape()
    a, b = tape.watch(np.array([2.0, 3.0])), tape.watch(np.array([5.0, 7.0]))
    result = times(add(a, b), double(a))        # (a + b) 2a: da = 4a + 2b, db = 2a
    grads = tape.backward(result, np.array([1.0, -1.0]))
    np.testing.assert_array_equal(grads[a], [18.0, -26.0])
    np.testing.assert_array_equal(grads[b], [4.0, -6.0])


def test_a_value_used_twice_gathers_both_gradients():
    tape = Tape()
    x = tape.watch(np.array([3.0]))
    grads = tape.backward(add(times(x, x), x))       # x^2 + x
    np.testing.assert_array_equal(grads[x], [7.0])


def test_an_array_that_goes_two_ways_is_not_written_into():
    tape = Tape()
    a, b = tape.watch(np.ones(2)), tape.watch(np.ones(2))
    total = add(add(a, b), a)                   # add hands one and the same array to both
    dout = np.array([1.0, 2.0])
    grads = tape.backward(total, dout)
    np.testing.assert_array_equal(grads[a], [2.0, 4.0])
    np.testing.assert_array_equal(grads[b], [1.0, 2.0])
    np.testing.assert_array_equal(dout, [1.0, 2.0])


def test_what_has_no_part_in_the_result_gets_zeros():
    tape = Tape()
    x, unused = tape.watch(np.ones(2)), tape.watch(np.ones((3, 1), np.float32))
    double(unused)
    grads = tape.backward(double(x), np.ones(2))
    np.testing.assert_array_equal(grads[unused], np.zeros((3, 1)))
    assert grads[unused].dtype == np.float32


def test_gradients_are_given_for_the_watched_alone():
    tape = Tape()
    x = tape.watch(np.ones(2))
    assert list(tape.backward(double(double(x)), np.ones(2))) == [x]


def test_a_watched_value_can_be_the_result_itself():
    tape = Tape()
    x = tape.watch(np.array(3.0))
    assert tape.backward(x)[x] == 1.0


def test_a_dict_is_watched_by_name():
    tape = Tape()
    watched = tape.watch({"weight": np.ones(2), "bias": np.zeros(1)})
    assert list(watched) == ["weight", "bias"] and watched["weight"].shape == (2,)
    assert tape.watched == list(watched.values())


def test_plain_arrays_among_the_inputs_need_no_gradient():
    no_ids = Op("pick", lambda ids, x: (x[ids], None), lambda dout, _: (None, dout[::-1]))
    tape = Tape()
    x = tape.watch(np.array([1.0, 2.0]))
    grads = tape.backward(no_ids(np.array([1, 0]), x), np.array([5.0, 6.0]))
    np.testing.assert_array_equal(grads[x], [6.0, 5.0])


def test_settings_reach_forward_and_the_entry():
    scale = Op("scale", lambda x, *, by: (by * x, by), lambda dout, by: (by * dout,))
    tape = Tape()
    x = tape.watch(np.array([1.0]))
    y = scale(x, by=3.0)
    assert tape.entries[0].settings == {"by": 3.0}
    assert tape.backward(y)[x] == 3.0


def test_each_cache_is_freed_as_soon_as_it_was_used():
    class Cache:
        pass

    alive: list[weakref.ref] = []
    seen: list[list[bool]] = []

    def forward(x):
        cache = Cache()
        alive.append(weakref.ref(cache))
        return x, cache

    def backward(dout, cache):
        seen.append([ref() is not None for ref in alive])
        return (dout,)

    keep = Op("keep", forward, backward)
    tape = Tape()
    y = tape.watch(np.array(1.0))
    for _ in range(3):
        y = keep(y)
    tape.backward(y)
    assert seen == [[True, True, True], [True, True, False], [True, False, False]]
    assert tape.entries == [] and not any(ref() for ref in alive)


def test_a_visitor_sees_every_entry_with_its_gradients_newest_first():
    tape = Tape()
    x = tape.watch(np.array([1.0]))
    y = double(x)
    z = times(x, y)
    double(x)                                   # has no part in z
    seen = []
    tape.backward(z, visit=lambda entry, dout, grads: seen.append((entry.op.name, dout, grads)))
    assert [name for name, _, _ in seen] == ["times", "double"]
    assert seen[0][1:] == (np.array([1.0]), (np.array([2.0]), np.array([1.0])))
    assert seen[1][1:] == (np.array([1.0]), (np.array([2.0]),))


def test_a_long_tape_plays_without_recursion():
    tape = Tape()
    y = x = tape.watch(np.array(1.0))
    for _ in range(5000):
        y = add(y, np.array(0.0))
    assert tape.backward(y)[x] == 1.0


def test_vars_and_ops_show_what_they_are():
    assert repr(Tape().watch(np.zeros((2, 3)))) == "Var(shape=(2, 3), dtype=float64)"
    assert repr(double) == "Op('double')"


def test_a_tape_error_is_a_value_error():
    assert issubclass(TapeError, ValueError)


def test_inputs_on_two_tapes_are_refused():
    with pytest.raises(TapeError, match="add: the inputs lie on 2 tapes"):
        add(Tape().watch(np.ones(1)), Tape().watch(np.ones(1)))


def test_a_var_of_another_tape_is_refused():
    other = Tape().watch(np.array(1.0))
    with pytest.raises(TapeError, match=r"a Var of this tape; got Var\(shape=\(\)"):
        Tape().backward(other)


def test_a_plain_array_as_result_is_refused():
    with pytest.raises(TapeError, match=r"a Var of this tape; got array\(1.\)"):
        Tape().backward(np.array(1.0))


def test_watching_a_var_is_refused():
    tape = Tape()
    with pytest.raises(TapeError, match="lies on a tape already"):
        tape.watch(tape.watch(np.ones(2)))


def test_a_tape_plays_once_and_records_nothing_afterwards():
    tape = Tape()
    x = tape.watch(np.array(1.0))
    y = double(x)
    tape.backward(y)
    for use in (lambda: tape.backward(y), lambda: double(x), lambda: tape.watch(np.ones(1))):
        with pytest.raises(TapeError, match="played already"):
            use()


def test_a_result_of_many_numbers_needs_dout():
    tape = Tape()
    x = tape.watch(np.ones((2, 3)))
    with pytest.raises(TapeError, match=r"shape \(2, 3\): pass dout"):
        tape.backward(double(x))


def test_dout_of_another_shape_is_refused():
    tape = Tape()
    x = tape.watch(np.ones((2, 3)))
    with pytest.raises(TapeError, match=r"dout: gradient of shape \(3,\) for a value of \(2, 3\)"):
        tape.backward(double(x), np.ones(3))


@pytest.mark.parametrize(("given", "message"), [
    ((np.ones(3), np.ones(2)), r"wrong: gradient of shape \(3,\) for a value of \(2,\)"),
    ((np.ones((1, 2)), np.ones(2)), r"wrong: gradient of shape \(1, 2\) for a value of \(2,\)"),
    ((None, np.ones(2)), r"wrong: no gradient for an input of shape \(2,\)"),
    ((np.ones(2),), "tuple of 2, one gradient per input; got 1 gradients"),
    (np.ones((2, 2)), "tuple of 2, one gradient per input; got <class 'numpy.ndarray'>"),
])
def test_gradients_that_do_not_fit_the_inputs_are_refused(given, message):
    wrong = Op("wrong", lambda a, b: (a + b, None), lambda dout, _: given)
    tape = Tape()
    y = wrong(tape.watch(np.ones(2)), tape.watch(np.ones(2)))
    with pytest.raises(TapeError, match=message):
        tape.backward(y, np.ones(2))
