"""A wrong shape in words: what would be right, which axis differs."""

import numpy as np
import pytest

from npgpt.doctor.values.shapes import shape_words

a = np.random.default_rng(0).standard_normal((2, 3, 4))


@pytest.mark.parametrize("right, got, says", [
    (a, a[..., :3], "it has shape (2, 3, 3), expected (2, 3, 4): axis 2 has length 3, expected 4"),
    (a.mean(), a, "its mean is right"),
    (a.sum(1), a, "its sum over axis 1 is right"),
    (a.mean((0, 2)), a, "its mean over axes 0, 2 is right"),
    (a, a.transpose(2, 0, 1), "its axes are in another order, transpose(1, 2, 0) is right"),
    (a, a.ravel(), "the same numbers in another order"),
    (a, np.ones(24), "as many numbers, but not the same"),
    (a, a[0, 0], "it has shape (4,), expected (2, 3, 4)"),
    (np.array([b"a", b"b"], object), np.array([b"a"], object), "it gives 1 items, expected 2"),
])
def test_a_wrong_shape_is_told(right, got, says):
    assert says in shape_words([(np.asarray(right), np.asarray(got))])


def test_what_is_so_at_some_inputs_only_is_said_to_be():
    pairs = [(np.asarray(a.mean()), a), (np.asarray(2.0), a)]
    assert "its mean is right at 1 of the 2 inputs tried" in shape_words(pairs)
