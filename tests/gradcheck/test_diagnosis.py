import numpy as np

from npgpt.gradcheck import check, examine
from npgpt.gradcheck.subject import Subject

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
        dk[0, 1:, 2:] *= np.array([[0.3, 1.7], [2.2, -0.4]])
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
        dx[0, 1] *= np.array([0.3, 1.7, 2.2, -0.4])
        return dx, -dw, db

    found = {f.argument: f for f in linear(damage)}
    assert (found["weight"].kind, found["x"].kind) == ("wrong-sign", "unexplained")
    assert "[0, 1, :]" in found["x"].message


def test_what_is_not_linear_in_dout_is_told_before_a_change_is_proposed():
    def backward(dout, x):
        return (2 * x * dout * dout,)

    found = check(lambda x: (x * x, x), backward, np.linspace(0.2, 2, 6)).findings
    assert [f.kind for f in found] == ["extra-factor"]
    assert found[0].message.startswith("backward is not linear in dout")
    assert "`2 * x * dout` would be right" in found[0].message


def test_what_is_not_linear_and_has_no_name_is_a_finding_of_its_own():
    report = check(
        lambda x: (x * x, x), lambda dout, x: (2 * x * np.sinh(dout),), np.linspace(0.2, 2, 6))
    assert report.kinds == ["not-linear", "unexplained"]


def test_a_backward_that_answers_differently_each_time_gets_no_other_name():
    rng = np.random.default_rng(3)

    def backward(dout, x):
        return (2 * x * dout * (rng.random(x.shape) > 0.5),)

    inputs = (np.linspace(0.2, 2, 6),)
    assert check(lambda x: (x * x, x), backward, *inputs).kinds == ["not-repeatable"]
    report = examine(Subject(lambda x: (x * x, x), backward, inputs, {}), thorough=False)
    assert report.kinds == ["unexplained"]
    assert "answers differently at each call" in report.findings[0].message


def test_the_numbers_shown_are_those_of_a_wrong_element():
    def damage(dx, dw, db):
        db = db.copy()
        db[3] = 100
        return dx, dw, db

    (finding,) = linear(damage)
    assert (finding.kind, finding.index, finding.analytic) == ("wrong-element", (3,), 100)


def test_where_two_values_are_used_and_one_is_counted_both_sides_are_told():
    def forward(x):
        a = np.sin(x)
        return a * a + x, x

    def backward(dout, x):
        return (dout * np.sin(x) * np.cos(x) + dout,)

    (finding,) = check(forward, backward, np.linspace(0.2, 2, 6)).findings
    assert "2.0 * (dout * np.sin(x) * np.cos(x))` would be right" in finding.message
    assert "`a` in `a * a`" in finding.message


def test_a_gradient_that_no_dout_moves_is_told():
    found = linear(lambda dx, dw, db: (dx, np.cos(np.arange(20.0)).reshape(4, 5), db))
    assert [f.kind for f in found] == ["missing-factor"]
    assert "does not depend on dout" in found[0].message
