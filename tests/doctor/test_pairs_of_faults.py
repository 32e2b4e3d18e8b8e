import numpy as np

from npgpt.doctor import check

from .pairs import (
    damaged,
    layernorm_backward,
    layernorm_forward,
    layernorm_inputs,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
)


def linear(damage, *inputs):
    """The findings of a linear layer whose gradients went through `damage`."""
    inputs = inputs or linear_inputs()
    return check(linear_forward, damaged(linear_backward, damage), *inputs).findings


def test_a_transposed_gradient_with_a_damaged_element_is_two_findings():
    def damage(dx, dw, db):
        dw = dw.T.copy()
        dw[2, 1] += 5
        return dx, dw, db

    found = linear(damage, normal(0, 2, 3, 4), normal(1, 4, 4), normal(2, 4))
    assert [f.kind for f in found] == ["transposed", "wrong-element"]
    assert "After that, 1 of 16 elements (6%) are still wrong." in found[0].message
    assert found[1].index == (2, 1)


def test_a_factor_on_all_and_a_part_that_is_zero_are_both_named():
    def damage(dx, dw, db):
        dx = 2 * dx
        dx[0] = 0
        return dx, dw, db

    found = linear(damage)
    assert [f.kind for f in found] == ["factor", "batch-dropped"]
    assert "number 0 of 2 along axis 0" in found[1].message


def test_a_part_with_its_own_factor_and_two_damaged_elements_are_told_apart():
    def damage(dx, dw, db):
        dx = dx.copy()
        dx[0] *= 1.3
        dx[1, 2, 3:5] += 0.7
        return dx, dw, db

    found = check(
        layernorm_forward, damaged(layernorm_backward, damage), *layernorm_inputs()).findings
    assert [f.kind for f in found] == ["factor", "wrong-element"]
    assert "1.3 times" in found[0].message and "[1, 2, 4]" in found[1].message


def test_what_is_left_without_a_name_is_shown_as_a_picture():
    def damage(dx, dw, db):
        dw = -dw
        dw[1:3, 2:] *= normal(5, 2, 3)
        return dx, dw, db

    found = linear(damage)
    assert [f.kind for f in found] == ["wrong-sign", "unexplained"]
    assert "6 of 20 elements (30%) are still wrong" in found[0].message
    assert found[1].picture.splitlines()[:4] == [".....", "..###", "..###", "....."]


def test_noise_all_over_gets_no_name():
    noise = normal(4, 4, 5)
    found = linear(lambda dx, dw, db: (dx, dw * noise, db))
    assert [f.kind for f in found] == ["unexplained"]
    assert "20 of 20 elements are wrong." in found[0].message and not found[0].picture


def test_a_missing_factor_and_a_wrong_sign_are_both_named():
    def backward(dout, cache):
        xhat, rstd, weight = cache
        dxhat = dout * weight
        a = dxhat.mean(axis=-1, keepdims=True)
        b = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
        return dxhat - a + b, (dout * xhat).sum((0, 1)), dout.sum((0, 1))

    found = check(layernorm_forward, backward, *layernorm_inputs()).findings
    assert [f.kind for f in found] == ["missing-factor", "term-sign"]
    assert "* rstd" in found[0].message and "`var`" in found[1].message
    assert all("together" in f.evidence for f in found)


def test_a_wrong_variable_and_a_forgotten_path_are_both_named():
    def backward(dout, cache):
        xhat, rstd, weight = cache
        dxhat = dout * weight
        b = xhat * (dout * xhat).mean(axis=-1, keepdims=True)
        return rstd * (dxhat - b), (dout * xhat).sum((0, 1)), dout.sum((0, 1))

    found = check(layernorm_forward, backward, *layernorm_inputs()).findings
    assert [f.kind for f in found] == ["wrong-variable", "missing-term"]
    assert "dxhat" in found[0].message and "`mean`" in found[1].message


def test_a_change_that_would_only_remove_a_term_is_not_offered():
    def backward(dout, x):
        return (dout * np.sinh(x) * np.cos(3 * x),)

    report = check(lambda x: (x**2, x), backward, normal(0, 3, 4))
    assert report.kinds == ["unexplained"]
