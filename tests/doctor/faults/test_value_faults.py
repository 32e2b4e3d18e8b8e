import numpy as np
import pytest

from npgpt.doctor import check

from ..pairs import (
    damaged,
    layernorm_backward,
    layernorm_forward,
    layernorm_inputs,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
)

pytestmark = pytest.mark.smoke


def named(forward, backward, damage, *inputs, **settings):
    """The findings of a pair whose gradients went through `damage`, which has no source to read."""
    return check(forward, damaged(backward, damage), *inputs, **settings).findings


def linear(damage):
    return named(linear_forward, linear_backward, damage, *linear_inputs())


@pytest.mark.parametrize("damage, kind, argument", [
    (lambda dx, dw, db: (0 * dx, dw, db), "zero-gradient", "x"),
    (lambda dx, dw, db: (-dx, dw, db), "wrong-sign", "x"),
    (lambda dx, dw, db: (dx, 2.5 * dw, db), "factor", "weight"),
    (lambda dx, dw, db: (dx, dw, db / 6), "mean-for-sum", "bias"),
    (lambda dx, dw, db: (dx.astype("f4").astype("f8"), dw, db), "float32", "x"),
    (lambda dx, dw, db: (dx, dw * np.nan, db), "not-finite", "weight"),
    (lambda dx, dw, db: (dx, dw[::-1], db), "axes-swapped", "weight"),
    (lambda dx, dw, db: (dx, dw.T.reshape(4, 5), db), "axes-swapped", "weight"),
    (lambda dx, dw, db: (dx, dw.T, db), "transposed", "weight"),
    (lambda dx, dw, db: (dx * np.array([1, 0])[:, None, None], dw, db), "batch-dropped", "x"),
    (lambda dx, dw, db: (dx, dx, db), "another-input", "weight"),
])
def test_damage_to_a_linear_layer_gets_its_name(damage, kind, argument):
    found = linear(damage)
    assert [(f.kind, f.argument) for f in found] == [(kind, argument)]
    assert found[0].message.endswith(".") and found[0].evidence


def test_swapped_gradients_of_equal_shape_are_told():
    found = named(
        layernorm_forward, layernorm_backward, lambda dx, dw, db: (dx, db, dw),
        *layernorm_inputs())
    assert [(f.kind, f.argument) for f in found] == [("another-input", "weight, bias")]
    assert "swapped" in found[0].message


def test_a_transposed_square_weight_is_told():
    found = named(
        linear_forward, linear_backward, lambda dx, dw, db: (dx, dw.T, db),
        normal(0, 2, 3, 4), normal(1, 4, 4), normal(2, 4))
    assert [f.kind for f in found] == ["transposed"]


def test_heads_merged_by_a_bare_reshape_are_told():
    def forward(x):  # (B, T, C) to (B, H, T, D)
        return x.reshape(2, 3, 2, 4).swapaxes(1, 2) ** 2, x

    def right(dout, x):
        return (dout.swapaxes(1, 2).reshape(2, 3, 8) * 2 * x,)

    assert check(forward, right, normal(0, 2, 3, 8)).ok
    found = named(
        forward, right,
        lambda dx: (dx.reshape(2, 3, 2, 4).swapaxes(1, 2).reshape(2, 3, 8),), normal(0, 2, 3, 8))
    assert [f.kind for f in found] == ["axes-swapped"]
    assert "heads" in found[0].message or "reshape" in found[0].message


def test_rounding_is_seen_everywhere_or_it_is_not_called_float32():
    noise = 1 + 1e-7 * normal(8, 2, 3, 4)
    found = linear(lambda dx, dw, db: (dx * noise, dw, db))
    assert [f.kind for f in found] == ["float32"]

    def one(dx, dw, db):
        dx = dx.copy()
        dx[1, 2, 3] *= 1 + 1e-6
        return dx, dw, db

    assert [f.kind for f in linear(one)] == ["wrong-element"]


def test_heads_in_another_order_are_told():
    found = named(
        linear_forward, linear_backward, lambda dx, dw, db: (dx[:, [1, 2, 0]], dw, db),
        *linear_inputs())
    assert [f.kind for f in found] == ["axes-swapped"]
    assert "axis 1" in found[0].message and "[1, 2, 0]" in found[0].message


def test_of_opposite_gradients_a_wrong_sign_is_the_simpler_name():
    def forward(p, t):
        return (p - t) ** 2, p - t

    found = check(forward, lambda d, e: (2 * d * e, 2 * d * e), normal(0, 5), normal(1, 5)).findings
    assert [(f.kind, f.argument) for f in found] == [("wrong-sign", "t")]
