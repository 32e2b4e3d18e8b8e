import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.explain import sharpened
from npgpt.doctor.measure import measure
from npgpt.doctor.subject import Subject

from .pairs import damaged, linear_backward, linear_forward, linear_inputs, normal


def named(forward, backward, damage, *inputs, **settings):
    """The findings of a pair whose gradients went through `damage`, which has no source to read."""
    return check(forward, damaged(backward, damage), *inputs, **settings).findings


def linear(damage):
    return named(linear_forward, linear_backward, damage, *linear_inputs())


def test_the_first_rule_that_fits_gives_the_name_and_its_evidence():
    found = linear(lambda dx, dw, db: (-dx, dw, db))
    assert [f.kind for f in found] == ["wrong-sign"]
    assert "eight digits" in found[0].evidence


def test_a_rearrangement_times_a_number_is_two_names():
    found = linear(lambda dx, dw, db: (dx, -3 * dw[::-1], db))
    assert [f.kind for f in found] == ["axes-swapped", "factor"]


@pytest.mark.parametrize("damage, kind", [
    (lambda dw: dw.T, "transposed"),
    (lambda dw: -dw.T, "transposed"),
    (lambda dw: np.stack([dw / 2, dw / 2]), "missing-broadcast-sum"),
    (lambda dw: dw[None], "missing-broadcast-sum"),
])
def test_a_gradient_of_the_wrong_shape_is_named_by_its_numbers(damage, kind):
    found = linear(lambda dx, dw, db: (dx, damage(dw), db))
    assert [(f.kind, f.argument) for f in found] == [(kind, "weight")]
    assert "(4, 5)" in found[0].message


def test_a_shape_that_nothing_explains_is_just_told():
    found = linear(lambda dx, dw, db: (dx, np.ones((7, 7)), db))
    assert [f.kind for f in found] == ["wrong-shape"]


def test_a_lone_number_without_dout_lacks_the_factor_with_dout():
    found = linear(lambda dx, dw, db: (dx, np.array(0.5), db))
    assert [(f.kind, f.argument) for f in found] == [("missing-factor", "weight")]
    assert "does not depend on dout" in found[0].message


def test_a_factor_and_rounding_are_two_names():
    found = linear(lambda dx, dw, db: (dx, (-8 * dw).astype("f4").astype("f8"), db))
    assert [f.kind for f in found] == ["factor", "float32"]


def measured(factor, kind=np.float32):
    def forward(x):
        return np.square(x.astype(kind)), x

    def backward(dout, x):
        return (factor * 2 * dout * x,)

    return measure(
        Subject(forward, backward, (normal(0, 3, 4),), {}), np.random.default_rng(0), [0])


def test_a_multiple_is_put_where_it_nearly_is():
    m = measured(-1)
    assert not np.array_equal(m.analytic[0], -m.numeric[0])
    assert np.array_equal(sharpened(m).analytic[0], -m.numeric[0])


def test_right_gradients_and_float64_stay_as_they_are():
    for m in (measured(1), measured(-1, np.float64)):
        assert np.array_equal(sharpened(m).analytic[0], m.analytic[0])


def test_what_fits_nothing_stays_as_it_is():
    m = measured(np.array([1.0, 2.0, 1.0, 1.0]))
    assert m.wrong == [0]
    assert np.array_equal(sharpened(m).analytic[0], m.analytic[0])
