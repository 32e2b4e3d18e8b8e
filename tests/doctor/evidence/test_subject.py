import numpy as np
import pytest

from npgpt.doctor.evidence.pair import argument_names
from npgpt.doctor.evidence.subject import Subject, op_name
from npgpt.gradcheck.pair import ContractError, describe

from ..pairs import (
    dropout_backward,
    dropout_forward,
    linear_backward,
    linear_forward,
    linear_inputs,
)


def test_names_come_from_forward():
    assert argument_names(linear_forward, 3) == ["x", "weight", "bias"]
    assert argument_names(lambda a, *rest: a, 2) == ["a", "rest"]
    assert argument_names(lambda a, *rest: a, 3) == ["a", "rest0", "rest1"]
    assert argument_names(lambda *, eps: eps, 1) == ["eps"]
    assert argument_names(lambda **settings: settings, 1) == ["x0"]
    assert op_name(linear_forward) == "linear"


def test_floats_are_taken_to_float64_and_ids_stay():
    subject = Subject(linear_forward, linear_backward, (np.ones(2, "f4"), np.arange(3), None), {})
    assert [None if a is None else a.dtype.kind for a in subject.inputs] == ["f", "i", None]
    assert subject.inputs[0].dtype == np.float64
    assert subject.floats == (0,)


def test_inputs_that_are_no_numbers_are_rejected():
    with pytest.raises(ContractError, match="floats, integers or booleans"):
        Subject(linear_forward, linear_backward, (np.array(["a"]),), {})
    with pytest.raises(ContractError, match="complex"):
        Subject(linear_forward, linear_backward, (np.ones(2) * 1j,), {})


def test_every_call_sees_the_same_random_numbers_and_leaves_the_generator_alone():
    rng = np.random.default_rng(4)
    subject = Subject(dropout_forward, dropout_backward, (np.ones(20),), {"rate": 0.5, "rng": rng})
    assert np.array_equal(subject.run()[0], subject.run()[0])
    assert rng.random() == np.random.default_rng(4).random()


def test_a_forward_that_writes_cannot_spoil_the_inputs():
    def forward(x):
        x += 1
        return x, None

    subject = Subject(forward, linear_backward, (np.zeros(3),), {})
    subject.run()
    assert not subject.inputs[0].any()


def test_the_output_as_a_function_carries_complex_numbers():
    subject = Subject(linear_forward, linear_backward, linear_inputs(), {})
    x = subject.array(0)
    assert subject.out_as_function_of(0)(x + 1e-20j).dtype == np.complex128
    assert subject.shape(1) == (4, 5)


def test_values_are_described_in_words():
    assert describe(None) == "None"
    assert "(2,)" in describe(np.ones(2))
    assert describe((1, 2)) == "a tuple of 2"
    assert describe("a") == "a value of type str"
