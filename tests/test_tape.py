from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt import Op, Tape, TapeError, Var
from npgpt.fast.ops import FAST
from npgpt.ops import TEXTBOOK, Ops
from npgpt.tape import SparseGradient

pytestmark = pytest.mark.smoke

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
    assert entry.op is double and entry.inputs == (x.key,) and entry.out == y.key


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


def test_what_is_finished_is_seen_with_its_gradient_before_older_entries_are_played():
    tape, rng = Tape(), np.random.default_rng(4)
    values = {name: rng.standard_normal(3) for name in ("tied", "old", "new", "unused")}
    watched = tape.watch(values)
    out = times(times(times(watched["tied"], watched["old"]), watched["new"]), watched["tied"])
    played, seen, names = [], {}, {var: name for name, var in watched.items()}
    dout = rng.standard_normal(3)
    grads = tape.backward(out, dout, lambda entry, _: played.append(entry.op.name),
                          lambda var, grad: seen.update({names[var]: (len(played), grad)}))
    # what is read twice is finished where it was read first, what nothing reads is not seen
    assert {name: when for name, (when, _) in seen.items()} == {"new": 2, "tied": 3, "old": 3}
    for var, name in names.items():
        assert name == "unused" or grads[var] is seen[name][1]
    tied, old, new = (values[name] for name in ("tied", "old", "new"))
    np.testing.assert_allclose(seen["tied"][1], 2 * dout * tied * old * new)
    np.testing.assert_allclose(seen["new"][1], dout * tied * tied * old)


@given(st.lists(st.tuples(st.sampled_from([add, times]), st.integers(0, 9), st.integers(0, 9)),
                min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_on_final_sees_each_gradient_once_and_as_it_is_in_the_end(calls, seed):
    rng = np.random.default_rng(seed)

    def made(tape):
        values = [tape.watch(value) for value in np.random.default_rng(seed).normal(size=(3, 2, 5))]
        watched = list(values)
        for op, a, b in calls:
            values.append(op(values[a % len(values)], values[b % len(values)]))
        return watched, values[-1]

    dout = rng.normal(size=(2, 5))
    plain = Tape()
    watched, result = made(plain)
    expected = plain.backward(result, dout)
    tape, seen, left = Tape(), [], []
    own, last = made(tape)
    grads = tape.backward(last, dout, on_final=lambda var, grad: (
        seen.append((var, grad.copy())), left.append([e.inputs for e in tape.entries])))
    assert len({var.key for var, _ in seen}) == len(seen)
    for (var, grad), inputs in zip(seen, left):
        np.testing.assert_array_equal(grad, grads[var])
        assert all(var.key not in keys for keys in inputs)       # nothing is added any more
    for one, other in zip(watched, own):
        np.testing.assert_array_equal(grads[other], expected[one])
        assert np.any(grads[other]) == (other.key in {var.key for var, _ in seen})


def test_on_gradient_sees_every_entry_with_its_dout_newest_first():
    tape = Tape()
    x = tape.watch(np.array([1.0]))
    y = double(x)
    z = times(x, y)
    double(x)                                   # has no part in z
    seen = []
    tape.backward(z, on_gradient=lambda entry, dout: seen.append((entry.op.name, dout)))
    assert seen == [("times", np.array([1.0])), ("double", np.array([1.0]))]


def test_a_long_tape_plays_without_recursion():
    tape = Tape()
    y = x = tape.watch(np.array(1.0))
    for _ in range(5000):
        y = add(y, np.array(0.0))
    assert tape.backward(y)[x] == 1.0


def test_a_var_shows_what_it_is():
    assert repr(Tape().watch(np.zeros((2, 3)))) == "Var(shape=(2, 3), dtype=float64)"


def test_an_op_without_a_var_takes_its_inference_form():
    lean = Op("lean", double.forward, double.backward, inference=lambda x: 3.0 * x)
    assert lean(np.array(1.0)) == 3.0 and lean(Tape().watch(np.array(1.0))).value == 2.0
    scale = Op("scale", lambda x, *, by: (by * x, by), lambda dout, by: (by * dout,),
               inference=lambda x, *, by: by * x)
    assert scale(np.array(2.0), by=5.0) == 10.0


def test_an_op_cannot_be_changed():
    with pytest.raises(AttributeError, match="fresh"):
        double.fresh = True


def test_on_entry_sees_every_value_as_it_is_made():
    seen = []
    tape = Tape(lambda entry, inputs, out: seen.append((entry.op.name, *inputs, out)))
    x = tape.watch(np.array(3.0))
    add(double(x), np.array(1.0))
    assert seen == [("double", 3.0, 6.0), ("add", 6.0, 1.0, 7.0)]


def test_a_tape_that_keeps_no_entries_has_no_way_back():
    tape = Tape(keep=False)
    y = double(tape.watch(np.array(3.0)))
    assert y.value == 6.0 and tape.entries == []
    with pytest.raises(TapeError, match="keeps no entries"):
        tape.backward(y)


def test_a_gradient_that_nobody_takes_is_freed_before_the_next_op_plays():
    untaken, alive = [], []

    def backward(dout, cache):
        alive.extend(ref() is not None for ref in untaken)
        other = np.ones_like(dout)
        untaken.append(weakref.ref(other))
        return other, dout * 2

    op = Op("of two", lambda plain, x: (x + plain, None), backward)
    tape = Tape()
    x = tape.watch(np.ones(2))
    tape.backward(op(np.ones(2), op(np.ones(2), x)), np.ones(2))
    assert len(untaken) == 2
    assert alive == [False]


def test_a_played_tape_lets_go_of_what_it_watched():
    gc.disable()
    try:
        tape = Tape()
        x = tape.watch(np.ones(2))
        value = weakref.ref(x.value)
        grads = tape.backward(double(x), np.ones(2))
        del x, grads
        assert value() is None
    finally:
        gc.enable()


class OneRow(SparseGradient):
    def __init__(self, row, value, like):
        self.shape, self.dtype, self.row, self.value = like.shape, like.dtype, row, value

    def add_to(self, array):
        array[self.row] += self.value


def test_a_sparse_gradient_is_added_to_the_other_one_or_made_dense_at_the_end():
    pick = Op("pick", lambda x, *, row: (x[row], (row, x)),
              lambda dout, c: (OneRow(c[0], dout, c[1]),))
    table = np.arange(6.0).reshape(3, 2)
    tape = Tape()
    x, other = tape.watch(table), tape.watch(table)
    result = add(add(pick(x, row=1), pick(x, row=1)), pick(other, row=2))
    grads = tape.backward(result, np.array([1.0, 10.0]))
    np.testing.assert_array_equal(grads[x], [[0, 0], [2, 20], [0, 0]])
    np.testing.assert_array_equal(grads[other], [[0, 0], [0, 0], [1, 10]])
    np.testing.assert_array_equal(np.asarray(OneRow(0, 1.0, table), np.float32).dtype, np.float32)
    with pytest.raises(NotImplementedError):
        SparseGradient().add_to(table)


class NeverDense(OneRow):
    def __array__(self, dtype=None, copy=None):
        raise AssertionError("made dense")


def gather(first, second, like):
    """The gradient of a value that gets `first`, then `second`; each is (gradient, fresh)."""
    tape = Tape()
    x = tape.watch(like)
    total = np.zeros(1)
    for gradient, fresh in (second, first):         # the newest entry plays first
        one = Op("one", lambda x: (np.ones(1), None), lambda dout, _, g=gradient: (g,), fresh=fresh)
        total = add(total, one(x))
    return tape.backward(total)[x]


@pytest.mark.parametrize("first_is_fresh", [True, False])
@pytest.mark.parametrize("second_is_fresh", [True, False])
def test_gradients_are_summed_in_the_array_of_an_op_that_gives_it_away_and_in_no_other(
    first_is_fresh, second_is_fresh
):
    first, second = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    total = gather((first, first_is_fresh), (second, second_is_fresh), np.zeros(2))
    np.testing.assert_array_equal(total, [11, 22])
    np.testing.assert_array_equal(first, [1, 2])
    assert np.shares_memory(total, second) == second_is_fresh
    np.testing.assert_array_equal(second, total if second_is_fresh else [10, 20])


@pytest.mark.parametrize("sparse_first", [True, False])
@pytest.mark.parametrize("fresh", [True, False])
def test_a_sparse_gradient_is_added_to_a_dense_one_without_being_made_dense(fresh, sparse_first):
    dense = np.ones((2, 2))
    pair = [(NeverDense(1, 5.0, dense), True), (dense, fresh)]
    total = gather(*(pair if sparse_first else pair[::-1]), np.zeros((2, 2)))
    np.testing.assert_array_equal(total, [[1, 1], [6, 6]])
    assert np.shares_memory(total, dense) == fresh
    np.testing.assert_array_equal(dense, total if fresh else 1)


def test_what_was_summed_once_is_the_tapes_own_and_takes_the_next_sum_in_place():
    table = np.zeros((3, 2))
    made = []

    class Watching(OneRow):
        def add_to(self, array):
            made.append(array)
            super().add_to(array)

    tape = Tape()
    x = tape.watch(table)
    pick = Op("pick", lambda x, *, row: (x[row], row),
              lambda dout, row: (Watching(row, dout, table),))
    total = add(add(pick(x, row=0), pick(x, row=1)), pick(x, row=1))
    grads = tape.backward(total, np.array([1.0, 10.0]))
    np.testing.assert_array_equal(grads[x], [[1, 10], [2, 20], [0, 0]])
    assert all(np.shares_memory(array, grads[x]) for array in made)


def test_a_sparse_gradient_alone_keeps_its_type():
    table = np.zeros((2, 2), np.float32)
    tape = Tape()
    x = tape.watch(table)
    row = Op("row", lambda x: (x[1], None), lambda dout, _: (OneRow(1, dout, table),))
    assert tape.backward(row(x), np.ones(2, np.float32))[x].dtype == np.float32


@pytest.mark.parametrize("fresh", [True, False])
def test_a_backward_may_give_plain_numbers(fresh):
    triple = Op("triple", lambda x: (3.0 * x, None), lambda dout, _: (3.0 * float(dout),),
                fresh=fresh)
    tape = Tape()
    x = tape.watch(np.array(1.0))
    grads = tape.backward(add(triple(x), triple(x)))
    assert grads[x] == 6.0 and isinstance(grads[x], np.ndarray)


def test_gradients_of_two_types_meet_in_the_wider_one():
    narrow = Op("narrow", lambda x: (x.astype(np.float32), None),
                lambda dout, _: (dout.astype(np.float32),), fresh=True)
    tape = Tape()
    x = tape.watch(np.array([1.0, 1e-9]))
    grads = tape.backward(add(narrow(x), double(x)), np.ones(2))
    assert grads[x].dtype == np.float64


def test_every_gradient_is_an_array_of_its_own():
    """What an op hands on to two values, the caller's dout among it, nobody may find shared."""
    broadcast = Op("broadcast", lambda a, b: (a + b, None),
                   lambda dout, _: (dout, np.broadcast_to(dout[:1], (2,))))
    dout = np.array([1.0, 2.0])
    for op in (add, broadcast):
        tape = Tape()
        a, b = tape.watch(np.ones(2)), tape.watch(np.ones(2))
        grads = tape.backward(op(a, b), dout)
        grads[a] += 10.0
        grads[b] += 100.0
        np.testing.assert_array_equal(dout, [1.0, 2.0])
        np.testing.assert_array_equal(grads[a], [11.0, 12.0])


def test_an_array_given_by_keyword_is_rejected():
    tape = Tape()
    x = tape.watch(np.ones(2))
    for extra in (x, np.ones(2)):
        with pytest.raises(TapeError, match="add: expected b by position; keywords are settings"):
            add(x, b=extra)


@pytest.mark.parametrize("values", [None, "abc", [1, 2], np.array([True])])
def test_only_arrays_of_floats_are_watched(values):
    with pytest.raises(TapeError, match="watch takes arrays of floats; values are"):
        Tape().watch(values)


def test_a_tape_error_is_a_value_error():
    assert issubclass(TapeError, ValueError)


def test_inputs_on_two_tapes_are_rejected():
    with pytest.raises(TapeError, match="add: the inputs lie on 2 tapes"):
        add(Tape().watch(np.ones(1)), Tape().watch(np.ones(1)))


def test_a_var_of_another_tape_is_rejected():
    other = Tape().watch(np.array(1.0))
    with pytest.raises(TapeError, match="a result of this tape; got Var"):
        Tape().backward(other)


def test_a_plain_array_as_result_is_rejected():
    with pytest.raises(TapeError, match="a result of this tape; got ndarray"):
        Tape().backward(np.array(1.0))


def test_watching_a_var_is_rejected():
    tape = Tape()
    with pytest.raises(TapeError, match="watch takes arrays of floats; values are object"):
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


def test_dout_of_another_shape_is_rejected():
    tape = Tape()
    x = tape.watch(np.ones((2, 3)))
    with pytest.raises(TapeError, match=r"dout: expected a gradient of shape \(2, 3\); got \(3,\)"):
        tape.backward(double(x), np.ones(3))


@pytest.mark.parametrize(("given", "message"), [
    ((np.ones(3), np.ones(2)), r"wrong: expected a gradient of shape \(2,\); got \(3,\)"),
    ((np.ones((1, 2)), np.ones(2)), r"wrong: expected a gradient of shape \(2,\); got \(1, 2\)"),
    ((None, np.ones(2)), r"wrong: expected a gradient of shape \(2,\); got None"),
    ((np.ones(2),), "tuple of 2 gradients; got 1"),
    (np.ones((2, 2)), "tuple of 2 gradients; got ndarray"),
])
def test_gradients_that_do_not_fit_the_inputs_are_rejected(given, message):
    wrong = Op("wrong", lambda a, b: (a + b, None), lambda dout, _: given)
    tape = Tape()
    y = wrong(tape.watch(np.ones(2)), tape.watch(np.ones(2)))
    with pytest.raises(TapeError, match=message):
        tape.backward(y, np.ones(2))


# with the ops of the model: sums in place, and none where an array is shared


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def never_in_place(ops):
    """The same ops, every gradient of theirs an array that nobody may write into."""
    return Ops(**{name: replace(op, fresh=False) for name, op in ops.named().items()})


def both(program, arrays):
    """The gradients with fast ops, and with the textbook's where no sum is taken in place."""
    gradients = []
    for ops in (FAST, never_in_place(TEXTBOOK)):
        tape = Tape()
        watched = [tape.watch(array) for array in arrays]
        result = program(ops, *watched)
        dout = normal(*result.value.shape, seed=9)
        before = dout.copy()
        grads = tape.backward(result, dout)
        np.testing.assert_array_equal(dout, before)
        gradients.append([grads[var] for var in watched])
    return gradients


def assert_same(program, *arrays):
    got, wanted = both(program, arrays)
    for a, b in zip(got, wanted):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert np.linalg.norm(a - b) <= 1e-12 * max(np.linalg.norm(b), 1e-3)


def thrice(ops, x, w):
    y = ops.linear(x, w, None)
    return ops.residual(ops.residual(y, ops.gelu(y)), ops.silu(y))


def gradient_on_both_arms(ops, x, w):
    # a residual hands one array to x and to its branch; then each gets more
    a, b = ops.gelu(x), ops.linear(x, w, None)
    total = ops.residual(a, b)
    return ops.residual(ops.residual(total, ops.silu(a)), ops.gelu(b))


def with_itself(ops, x, w):
    y = ops.residual(x, x)
    return ops.residual(ops.linear(y, w, None), y)


def handed_on_thrice(ops, x, w):
    y = ops.residual(ops.residual(x, w), x)
    return ops.residual(ops.dropout(y, rate=0.0), ops.residual(y, w))


def chain_of_blocks(ops, x, w):
    for _ in range(3):
        x = ops.residual(x, ops.linear(ops.gelu(x), w, None))
        x = ops.residual(x, ops.softmax(x))
    return x


@pytest.mark.parametrize("program", [
    thrice, gradient_on_both_arms, with_itself, handed_on_thrice, chain_of_blocks
])
def test_gradients_that_meet_add_up_as_on_the_tape(program):
    assert_same(program, normal(4, 4), normal(4, 4, seed=1))


ONE = ("gelu", "silu", "softmax", "relu")


@given(steps=st.lists(
    st.tuples(st.sampled_from([*ONE, "residual"]), st.integers(0, 99), st.integers(0, 99)),
    min_size=1, max_size=12,
))
def test_any_program_gives_the_gradients_of_the_tape(steps):
    def program(ops, *made):
        made = list(made)
        for name, i, j in steps:
            inputs = [made[i % len(made)]]
            if name == "residual":
                inputs.append(made[j % len(made)])
            made.append(getattr(ops, name)(*inputs))
        return made[-1]

    assert_same(program, normal(3, 5), normal(3, 5, seed=1))


@pytest.mark.parametrize("tied", [True, False])
def test_the_table_of_tokens_gets_its_rows_and_those_of_the_head(tied):
    ids = np.array([[1, 4, 1], [6, 1, 0]])
    targets = np.array([[4, 1, 6], [1, -100, 2]])

    def program(ops, table, positions, head):
        x = ops.token_embedding(ids, table)
        x = ops.position_embedding(x, positions, np.arange(3))
        x = ops.residual(x, ops.gelu(x))
        return ops.linear_cross_entropy(x, table if tied else head, targets)

    assert_same(program, normal(7, 5), normal(4, 5), normal(7, 5, seed=1))


def test_what_has_no_part_in_the_result_has_gradient_zero():
    def program(ops, x, unused):
        ops.gelu(unused)
        return ops.silu(x)

    got, _ = both(program, [normal(2, 3), normal(4, 5)])
    np.testing.assert_array_equal(got[1], np.zeros((4, 5)))


def test_values_that_no_cache_keeps_are_freed_during_forward():
    tape = Tape()
    x = tape.watch(normal(2, 3))
    branch = FAST.silu(x)
    total = FAST.residual(x, branch)
    activated = FAST.gelu(total)
    branch_value, total_value = weakref.ref(branch.value), weakref.ref(total.value)
    del branch, total
    assert branch_value() is None
    # gelu saves its input
    assert total_value() is not None
    tape.backward(activated, np.ones((2, 3)))
    assert total_value() is None


def test_a_table_looked_up_twice_gets_both_gradients():
    def program(ops, w):
        return ops.residual(ops.token_embedding(np.array([0, 1]), w),
                            ops.token_embedding(np.array([1, 2]), w))

    assert_same(program, normal(4, 3))


def test_a_look_up_after_another_use_of_the_table_adds_to_it():
    def program(ops, w):
        return ops.residual(ops.gelu(w), ops.token_embedding(np.array([0, 1, 2, 1]), w))

    assert_same(program, normal(4, 3))


def test_rows_are_never_added_into_a_gradient_that_a_residual_handed_on():
    def program(ops, w, y):
        looked_up = ops.token_embedding(np.array([0, 1, 2, 1]), w)
        return ops.residual(w, ops.residual(y, looked_up))

    assert_same(program, normal(4, 3), normal(4, 3, seed=2))
