import numpy as np

from npgpt.gradcheck import check

from .pairs import (
    attention_backward,
    attention_forward,
    attention_inputs,
    damaged,
    linear_backward,
    linear_forward,
    linear_inputs,
)


def named(forward, backward, damage, *inputs, **settings):
    """The findings of a pair whose gradients went through `damage`, which has no source to read."""
    return check(forward, damaged(backward, damage), *inputs, **settings).findings


def linear(damage):
    return named(linear_forward, linear_backward, damage, *linear_inputs())


def test_a_fault_without_a_name_is_shown_as_a_picture_with_its_neighbourhood():
    def damage(dq, dk, dv):
        dk = dk.copy()
        dk[0, 1:, 2:] += 0.3
        return dq, dk, dv

    found = named(attention_forward, attention_backward, damage, *attention_inputs())
    assert [f.kind for f in found] == ["unexplained"]
    assert "[0, 1:3, 2:4]" in found[0].message
    assert found[0].picture.splitlines()[:6] == ["....", "..##", "..##", "....", "....", "...."]
    assert "near [0, 1, 0:4]" in found[0].picture and "backward" in found[0].picture


def test_one_fault_behind_several_wrong_gradients_is_one_finding():
    def backward(dout, cache):
        q, k, v, weights, _ = cache
        dv = weights.swapaxes(-1, -2) @ dout
        dweights = dout @ v.swapaxes(-1, -2)
        through_sum = (dweights * dweights).sum(axis=-1, keepdims=True)
        dscores = weights * (dweights - through_sum) / np.sqrt(q.shape[-1])
        return dscores @ k, dscores.swapaxes(-1, -2) @ q, dv

    found = check(attention_forward, backward, *attention_inputs()).findings
    assert [(f.kind, f.argument) for f in found] == [("wrong-variable", "q, k")]


def test_what_can_be_named_is_named_and_the_rest_is_shown():
    def damage(dx, dw, db):
        dx = dx.copy()
        dx[0, 1] += 0.1
        return dx, -dw, db

    found = {f.argument: f for f in linear(damage)}
    assert (found["weight"].kind, found["x"].kind) == ("wrong-sign", "unexplained")
    assert "[0, 1, :]" in found["x"].message
