"""The tape of the training step: Tape's gradients, in less memory."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.fast.ops import FAST as fast_ops
from npgpt.machine import threads
from npgpt.ops import TEXTBOOK as textbook
from npgpt.tape import Op, Tape
from npgpt.training.step.play import STEP_OPS, StepTape, play


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def both(program, arrays, ops=textbook):
    """The gradients by play with step ops, and by Tape.backward with the textbook's."""
    step_tape, tape = StepTape(), Tape()
    step_vars, tape_vars = ([t.watch(a) for a in arrays] for t in (step_tape, tape))
    result, wanted_result = program(STEP_OPS, *step_vars), program(ops, *tape_vars)
    np.testing.assert_allclose(result.value, wanted_result.value, rtol=1e-12, atol=1e-12)
    dout = normal(*result.value.shape, seed=9)
    kept = dout.copy()
    got = play(step_tape, result, dout, step_vars)
    np.testing.assert_array_equal(dout, kept)
    wanted = tape.backward(wanted_result, dout)
    return got, [wanted[var] for var in tape_vars]


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


def test_large_gradients_that_meet_on_threads_add_up_too(monkeypatch):
    monkeypatch.setattr("npgpt.fast.blocks.ELEMENTS", 2)
    for n in (1, 2, 3):
        with threads.using(n):
            assert_same(chain_of_blocks, normal(5, 5), normal(5, 5, seed=1))


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


def test_every_op_that_hands_its_gradient_on_is_known():
    """An op outside the list may be added to in place: what it gives must be its own."""
    examples = [
        ("gelu", [normal(2, 3)], {}), ("gelu_exact", [normal(2, 3)], {}),
        ("relu", [normal(2, 3)], {}), ("silu", [normal(2, 3)], {}),
        ("leaky_relu", [normal(2, 3), np.array([0.2])], {}),
        ("softmax", [normal(2, 3)], {}),
        ("layernorm", [normal(2, 3), normal(3), normal(3)], {}),
        ("linear", [normal(2, 3), normal(3, 4), normal(4)], {}),
        ("unembedding", [normal(2, 3), normal(4, 3)], {}),
        ("causal_attention", [normal(2, 3), normal(4, 3), normal(4, 3)], {}),
        ("multi_head_attention", [normal(1, 2, 12)], {"n_head": 2}),
        ("cross_entropy", [normal(2, 3), np.array([0, 1])], {}),
        ("linear_cross_entropy", [normal(2, 3), normal(4, 3), np.array([0, 1])], {}),
        ("feed_forward", [normal(2, 3), normal(3, 4), None, normal(4, 3), normal(3)], {}),
        ("swiglu", [normal(2, 3), normal(3, 4), None, normal(3, 4), None, normal(4, 3), None], {}),
        ("token_embedding", [np.array([0, 1]), normal(4, 3)], {}),
        ("identity", [normal(2, 3)], {}), ("pad_zeros", [normal(3)], {"size": 5}),
        ("weight_norm", [normal(3, 4), normal(4)], {}),
        ("attention_entropy", [normal(1, 2, 12)], {"n_head": 2}),
        ("entropy_penalty", [normal(3), normal(3)],
         {"weight": 1.0, "tolerance": 0.1, "bound": 1.0}),
    ]
    known = {"residual", "position_embedding", "dropout"}
    assert {name for name, _, _ in examples} | known == set(fast_ops.named())
    for name, inputs, given_settings in examples:
        op = fast_ops.named()[name]
        out, cache = op.forward(*inputs, **given_settings)
        dout = np.ones_like(out)
        grads = [g for g in op.backward(dout, cache) if g is not None]
        for i, grad in enumerate(grads):
            others = [dout, out, *(a for a in inputs if a is not None), *grads[:i]]
            assert not any(np.shares_memory(grad, other) for other in others), name


class Kept:
    """A cache that can be watched."""


def watching_op(name, caches, seen):
    def forward(x):
        cache = Kept()
        caches.append(weakref.ref(cache))
        return x + 1, cache

    def backward(dout, cache):
        seen.append([ref() is not None for ref in caches])
        return (dout * 2,)

    return Op(name, forward, backward)


def test_a_cache_is_freed_as_soon_as_it_was_used():
    caches, seen = [], []
    op = watching_op("watched", caches, seen)
    tape = StepTape()
    x = tape.watch(normal(2, 3))
    result = op(op(op(x)))
    (grad,) = play(tape, result, np.ones((2, 3)), [x])
    np.testing.assert_array_equal(grad, np.full((2, 3), 8.0))
    assert seen == [[True, True, True], [True, True, False], [True, False, False]]
    assert not any(ref() for ref in caches)
    assert tape.entries == []


def test_a_gradient_that_nobody_takes_is_freed_before_the_next_op_plays():
    untaken, alive = [], []

    def backward(dout, cache):
        alive.extend(ref() is not None for ref in untaken)
        other = np.ones_like(dout)
        untaken.append(weakref.ref(other))
        return other, dout * 2

    op = Op("of two", lambda plain, x: (x + plain, None), backward)
    tape = StepTape()
    x = tape.watch(normal(2, 3))
    result = op(normal(2, 3), op(normal(2, 3), x))
    play(tape, result, np.ones((2, 3)), [x])
    assert len(untaken) == 2
    assert alive == [False]


def test_a_cache_that_no_gradient_reaches_is_freed_too():
    caches, seen = [], []
    op = watching_op("watched", caches, seen)
    tape = StepTape()
    x, y = tape.watch(normal(2, 3)), tape.watch(normal(2, 3))
    result = op(x)
    op(y)
    play(tape, result, np.ones((2, 3)), [x])
    assert seen == [[True, False]]


def test_values_that_no_cache_keeps_are_freed_during_forward():
    tape = StepTape()
    x = tape.watch(normal(2, 3))
    branch = STEP_OPS.silu(x)
    total = STEP_OPS.residual(x, branch)
    bent = STEP_OPS.gelu(total)
    branch_value, total_value = weakref.ref(branch.value), weakref.ref(total.value)
    del branch, total
    assert branch_value() is None
    # gelu keeps its input
    assert total_value() is not None
    play(tape, bent, np.ones((2, 3)), [x])
    assert total_value() is None


def test_a_dict_of_arrays_is_watched_by_name():
    tape = StepTape()
    arrays = {"a": normal(2, 3), "b": normal(3, 4)}
    watched = tape.watch(arrays)
    assert list(watched) == ["a", "b"]
    assert watched["b"].value is arrays["b"] and watched["b"].tape is tape
    assert watched["a"].key != watched["b"].key


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
