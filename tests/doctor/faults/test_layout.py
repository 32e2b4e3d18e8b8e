import numpy as np
import pytest

from npgpt.doctor.choose import explain
from npgpt.doctor.evidence.measure import Evidence
from npgpt.doctor.evidence.subject import Subject
from npgpt.doctor.faults.layout import orders

from ..pairs import normal


def test_the_last_two_axes_swapped_are_a_transpose_and_the_plain_order_is_left_out():
    found = dict(orders(3))
    assert len(found) == 5 and (0, 1, 2) not in found
    assert found[0, 2, 1] == "transposed" and found[1, 0, 2] == "axes-swapped"


def evidence(given):
    """A gradient of x (3, 4) as it was given for two douts, beside the true one."""
    subject = Subject(lambda x: (x, None), lambda dout, _: dout, [np.ones((3, 4))], {})
    truth = normal(0, 2, 3, 4).reshape(2, -1)
    return Evidence(subject, 0, given, truth, lambda rows: rows.reshape(len(rows), -1))


@pytest.mark.parametrize("damage, kind, words", [
    (lambda g: g.swapaxes(1, 2), "transposed", "it is transposed."),
    (lambda g: np.stack([g, g], 1) / 2, "missing-broadcast-sum", "sum over axis 0"),
    (lambda g: g.reshape(2, -1), "wrong-shape", "its elements are right"),
    (lambda g: g[:, ::-1], "axes-swapped", "Axis 0 of the gradient of x runs backwards"),
])
def test_what_was_rearranged_is_named(damage, kind, words):
    fault, = explain(evidence(damage(normal(0, 2, 3, 4))))
    assert fault.kind == kind and words in fault.sentence


def test_what_was_rearranged_and_multiplied_has_two_names():
    found = explain(evidence(-3 * normal(0, 2, 3, 4).swapaxes(1, 2)))
    assert [fault.kind for fault in found] == ["transposed", "factor"]


def test_noise_is_not_a_layout():
    assert explain(evidence(normal(1, 2, 3, 4))) == []
