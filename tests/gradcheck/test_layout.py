import numpy as np
import pytest

from npgpt.gradcheck.layout import orders, wrong_layout

from .pairs import normal


def test_the_last_two_axes_swapped_are_a_transpose_and_the_plain_order_is_left_out():
    found = dict(orders(3))
    assert len(found) == 5 and (0, 1, 2) not in found
    assert found[0, 2, 1] == "transposed" and found[1, 0, 2] == "axes-swapped"


@pytest.mark.parametrize("damage, kind, words", [
    (lambda g: g.swapaxes(1, 2), "transposed", "it is transposed."),
    (lambda g: -3 * g.swapaxes(1, 2), "transposed", "is -3 times the true one"),
    (lambda g: np.stack([g, g], 1) / 2, "missing-broadcast-sum", "sum over axis 0"),
    (lambda g: g.reshape(2, -1), "wrong-shape", "its elements are right"),
    (lambda g: g[:, ::-1], "axes-swapped", "axis 0 of it runs backwards"),
])
def test_what_was_rearranged_is_named(damage, kind, words):
    true = normal(0, 2, 3, 4)
    fault = wrong_layout("x", (3, 4), damage(true), np.ravel, true.ravel(), "")
    assert fault.kind == kind and words in fault.message


def test_noise_is_not_a_layout():
    true = normal(0, 2, 3, 4)
    assert wrong_layout("x", (3, 4), normal(1, 2, 3, 4), np.ravel, true.ravel(), "") is None
