import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.faults.multiple import kind_of, near, plain, times

from ..pairs import (
    damaged,
    dropout_backward,
    dropout_forward,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
)


@pytest.mark.parametrize("c, kind, words", [
    (0.0, "zero-gradient", "is zero"),
    (-1 + 1e-9, "wrong-sign", "has the wrong sign"),
    (2.5, "factor", "is 2.5 times the true one"),
    (1.000001, "factor", "is 1.000001 times the true one"),
])
def test_a_multiple_has_its_kind_and_its_words(c, kind, words):
    assert kind_of(c) == kind and times(c) == words


def test_plain_numbers_are_the_parts_that_people_write():
    for value in (3.0, 0.5, -1 / 3, 0.125, 5 / 6):
        assert near(float(plain(value + 1e-9)), value)
    assert np.allclose(plain(np.array([0.34, 1.01])), [1 / 3, 1.0])


def named(forward, backward, damage, *inputs, **settings):
    """The findings of a pair whose gradients went through `damage`, which has no source to read."""
    return check(forward, damaged(backward, damage), *inputs, **settings).findings


def linear(damage):
    return named(linear_forward, linear_backward, damage, *linear_inputs())


@pytest.mark.parametrize("factor, words", [
    (lambda dx, dw: dw.shape[1], "that is 5, the size of axis 2 of out or axis 1 of weight"),
    (lambda dx, dw: 1 / dx.shape[1], "that is one over 3, the size of axis 1 of out"),
    (lambda dx, dw: np.sqrt(dw.shape[1]), "that is sqrt(5), the size of"),
    (lambda dx, dw: dx.shape[1] / (dx.shape[1] - 1), "that is n / (n - 1) with n = 3"),
    (lambda dx, dw: 5.0, "is 5 times the true one, at other sizes too."),
    (lambda dx, dw: 2.0, "that is two, as if it had been added twice"),
    (lambda dx, dw: len(dx), "that is 2, the size of axis 0 of out (the batch)"),
    (lambda dx, dw: 1.25, "is 1.25 times the true one, at other sizes too."),
    (lambda dx, dw: dx[..., :1].size * dw.shape[1], "that is 30, the size of all of out"),
])
def test_the_source_of_a_factor_is_what_holds_at_other_sizes_too(factor, words):
    found = linear(lambda dx, dw, db: (factor(dx, dw) * dx, dw, db))
    assert found[0].kind == "factor"
    assert words in found[0].message


def test_a_setting_can_be_the_source_of_a_factor():
    found = named(
        dropout_forward, dropout_backward, lambda dx: (dx / 0.7,), normal(0, 3, 4), rate=0.3,
        rng=np.random.default_rng(0))
    assert "one over 1 - rate" in found[0].message


def test_where_no_other_size_can_be_tried_a_source_is_only_possible():
    fixed = normal(3, 4, 5)
    found = check(
        lambda x: (x @ fixed, None), lambda dout, _: (4 * dout @ fixed.T,), normal(0, 3, 4))
    message = found.findings[0].message
    assert "4 times the true one: that may be 4, the size of axis 1 of x" in message


@pytest.mark.parametrize("forward, kind, words", [
    (lambda x: ((x * x).mean(), x), "factor", "forward takes the mean in line"),
    (lambda x: ((x * x).sum() / len(x), x), "factor", "forward divides in line"),
])
def test_a_mean_whose_division_is_forgotten_is_told_with_its_line(forward, kind, words):
    found = check(forward, lambda dout, x: (dout * 2 * x,), normal(0, 7)).findings
    assert [f.kind for f in found] == [kind]
    assert words in found[0].message and "backward never divides by 7" in found[0].message


def test_a_scale_by_the_root_of_a_size_is_asked_about():
    def forward(q, k):
        return q @ k.T / np.sqrt(q.shape[1]), (q, k)

    found = check(
        forward, lambda d, c: (d @ c[1], d.T @ c[0]), normal(0, 3, 5), normal(1, 4, 5)).findings
    assert [(f.kind, sorted(f.argument)) for f in found] == [("factor", sorted("q, k"))]
    assert "the scale 1 / sqrt(5) of forward is missing in backward" in found[0].message
