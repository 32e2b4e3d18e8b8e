"""The statements that a wrong gradient points to."""

import ast

import numpy as np

from npgpt.doctor.evidence.measure import measure
from npgpt.doctor.evidence.subject import Subject
from npgpt.doctor.repairs.suspects import Suspects
from npgpt.doctor.repairs.worlds import Budget


def forward(x, w, b):
    h = np.tanh(x @ w)
    return h + b, (x, w, h)


def wrong_in_dx(dout, cache):
    x, w, h = cache
    dh = dout * (1 - h * h)
    dx = dh @ w.T * 2
    dw = x.T @ dh
    return dx, dw, dout.sum(0)


def wrong_in_dh(dout, cache):
    x, w, h = cache
    dh = dout * (1 - h)
    dx = dh @ w.T
    dw = x.T @ dh
    return dx, dw, dout.sum(0)


def raising(dout, cache):
    x, w, h = cache
    dh = dout * (1 - h * h)
    dx = dh @ w
    return dx, x.T @ dh, dout.sum(0)


def search(backward):
    rng = np.random.default_rng(0)
    inputs = (rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), rng.standard_normal(2))
    return Suspects(measured(Subject(forward, backward, inputs, {}), rng), Budget(2000))


def measured(subject, rng):
    if subject.backward is not raising:
        return measure(subject, rng, [0, 1, 2])
    right = measure(Subject(forward, wrong_in_dx, subject.inputs, {}), rng, [0, 1, 2])
    right.subject = subject
    return right


def first(backward, wrong):
    return [ast.unparse(site.slot.get()) for site in search(backward)._suspects(wrong)[0][0]]


def test_one_wrong_gradient_points_to_what_moves_that_one_alone():
    assert "dh @ w.T * 2" in first(wrong_in_dx, {0})
    assert "x.T @ dh" not in first(wrong_in_dx, {0})


def test_two_wrong_gradients_point_to_what_moves_both_and_not_the_third():
    found = first(wrong_in_dh, {0, 1})
    assert "dout * (1 - h)" in found and not {"dh @ w.T", "x.T @ dh", "dout.sum(0)"} & set(found)


def test_an_exception_points_to_its_own_statement():
    assert "dh @ w" in first(raising, {0, 1})


def test_a_search_leaves_the_users_functions_as_they_were():
    before = wrong_in_dx.__code__
    found = search(wrong_in_dx)
    found._suspects({0})
    found.undo()
    assert wrong_in_dx.__code__ is before


def test_each_run_is_taken_off_the_budget():
    found = search(wrong_in_dx)
    before = found.budget.left
    found._suspects({0})
    assert 0 < before - found.budget.left <= 2 * len(found.sites) + 10
