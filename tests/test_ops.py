from __future__ import annotations

import numpy as np
import pytest

from npgpt import Op, Tape, Var
from npgpt.fast.ops import FAST
from npgpt.gradcheck.proof import prove_gradients
from npgpt.ops import TEXTBOOK as ops
from npgpt.selfcheck.cases import cases
from npgpt.tape import SparseGradient

pytestmark = pytest.mark.smoke

CASES = cases()
every_case = pytest.mark.parametrize("case", CASES, ids=[case.label for case in CASES])


@every_case
def test_gradients_pass_a_proof_of_other_making(case):
    op = ops.named()[case.op_name]
    prove_gradients(op.forward, op.backward, *case.inputs, **case.settings)


@pytest.mark.parametrize("spoil", [
    lambda g: 7.0 * g, lambda g: 0.0 * g, lambda g: -g, lambda g: g[..., ::-1],
    lambda g: g * (1 + 1e-9), lambda g: np.where(g == g.flat[0], g + 1e-7, g),
], ids=["times 7", "zeros", "sign", "scrambled", "nearly right", "one element"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_proof_of_other_making_bites(spoil, position):
    case = next(c for c in CASES if c.op_name == "causal_attention")
    op = ops.named()[case.op_name]

    def wrong_backward(dout, cache):
        grads = list(op.backward(dout, cache))
        grads[position] = spoil(grads[position])
        return tuple(grads)

    with pytest.raises(AssertionError, match=f"input {position}"):
        prove_gradients(op.forward, wrong_backward, *case.inputs)


def test_an_op_is_listed_under_its_own_name_and_is_an_attribute_of_it():
    for name, op in ops.named().items():
        assert isinstance(op, Op) and op.name == name and getattr(ops, name) is op
        assert op.forward.__name__ == f"{name}_forward"
        assert op.backward.__name__ == f"{name}_backward"


@every_case
def test_arrays_in_is_inference_and_vars_in_is_the_same_recorded(case):
    op = ops.named()[case.op_name]
    plain = op(*case.inputs, **case.settings)
    assert isinstance(plain, np.ndarray)

    tape = Tape()
    inputs = [tape.watch(a) if a is not None and a.dtype.kind == "f" else a for a in case.inputs]
    taped = op(*inputs, **case.settings)
    assert isinstance(taped, Var) and len(tape.entries) == 1
    np.testing.assert_array_equal(taped.value, plain)
    dout = np.random.default_rng(0).standard_normal(plain.shape)
    grads = tape.backward(taped, dout)
    _, cache = op.forward(*case.inputs, **case.settings)
    expected = [g for g in op.backward(dout, cache) if g is not None]
    for given, wanted in zip(grads.values(), expected, strict=True):
        np.testing.assert_array_equal(given, wanted)


def gradients_in_place(op, case):
    """Whether every gradient that backward gives for this case may be added to in place."""
    out, cache = op.forward(*case.inputs, **case.settings)
    dout = np.random.default_rng(0).standard_normal(out.shape).astype(out.dtype)
    grads = [g for g in op.backward(dout, cache) if g is not None]
    if any(isinstance(g, SparseGradient) for g in grads):
        return False        # it holds rows of dout
    before = [g.copy() for g in grads]
    theirs = [dout, out, *(a for a in case.inputs if a is not None)]
    for i, grad in enumerate(grads):
        if not grad.flags.writeable or any(
                np.shares_memory(grad, other) for other in (*theirs, *grads[:i])):
            return False
        grad += 1
    # nor does the cache hold on to them: backward gives the same again
    again = [g for g in op.backward(dout, cache) if g is not None]
    return all(np.array_equal(a, b) for a, b in zip(again, before, strict=True))


@pytest.mark.parametrize("name", ops.named())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("room", [ops, FAST], ids=["textbook", "fast"])
def test_an_op_is_fresh_exactly_where_its_gradients_are_its_own_in_every_setting(
    room, dtype, name
):
    op = room.named()[name]
    own = [gradients_in_place(op, case) for batch in (1, 2)
           for case in cases(dtype=dtype, batch=batch) if case.op_name == name]
    assert own and op.fresh == all(own)
