import numpy as np
import pytest

from npgpt.doctor.styles.arguments import Arguments
from npgpt.gradcheck.pair import constant

A, B = np.ones(2), np.ones((2, 3))


def f(a, b, c):
    return None


def test_arrays_are_inputs_and_settings_stay_in_their_places():
    given = Arguments(f, ({"W": A, "mode": "same"}, B, 0.5))
    assert given.names == ["W", "b"] and given.arguments == [0, 1]
    first, second, third = given.filled([2 * A, 3 * B])
    assert first["mode"] == "same" and first["W"] is not A and third == 0.5
    assert np.array_equal(second, 3 * B)
    assert Arguments(f, (A, 0.5), every=True).names == ["a", "b"]


def test_names_that_would_come_twice_have_their_argument_before_them():
    assert Arguments(f, ({"W": A}, {"W": A})).names == ["a.W", "b.W"]


@pytest.mark.parametrize("given, result, expected", [
    ((A, B), (A, B), (A, B)),
    ((A, constant(B)), (A,), (A, None)),
    ((A, B, A), (A, B), (A, B, None)),
    ((np.arange(2), A), (None, A), (None, A)),
    ((A, B), {"first": A, "second": B}, (A, B)),
    (([{"W": A}, {"W": A}], B), [{"W": 2 * A}, {"dW": A}], (2 * A, A, None)),
    ((A, constant(B)), A, (A, None)),
    ((A, B), {"db": 2, "a": 1}, (1, 2)),
    (({"W": A}, B), {"W": 1}, (1, None)),
    (([A, B],), [A, B], (A, B)),
    (([A, B],), ([A, B],), (A, B)),
    (([1.0, 2.0],), [3.0, 4.0], ([3.0, 4.0],)),
    ((A,), (A,), (A,)),
    ((A, np.arange(2)), A, (A, None)),
])
def test_gradients_find_their_arrays(given, result, expected):
    assert repr(Arguments(f, given).gradients(result)) == repr(expected)
