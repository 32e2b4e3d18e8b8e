"""The places of a function, and what a value there may be."""

import ast
import copy
import inspect

import numpy as np
import pytest

from npgpt.doctor.reading.source import function_of
from npgpt.doctor.repairs.sites import (
    alike,
    assigned,
    difference,
    is_number,
    moved_by,
    nudged,
    sites_of,
    unpacks,
    within,
)


def backward(dout, cache):
    x, w = cache
    d = dout * 2
    dx, dw = d @ w.T, x.T @ d
    grads = {"dx": dx}
    for _ in range(2):
        grads["dw"] = dw
    return dx, dw


def found():
    return list(sites_of(copy.deepcopy(function_of(backward.__code__))))


def test_every_value_that_is_computed_is_a_place_with_its_line():
    first = inspect.getsourcelines(backward)[1]
    texts = {(ast.unparse(site.slot.get()), site.line - first) for site in found()}
    assert {("dout * 2", 2), ("d @ w.T", 3), ("x.T @ d", 3), ("dx", 4), ("range(2)", 5),
            ("dw", 6), ("dx", 7)} <= texts


def test_the_places_inside_a_place_come_after_it():
    site = next(s for s in found() if ast.unparse(s.slot.get()) == "d @ w.T")
    assert [ast.unparse(slot.get()) for slot in within(site)][:3] == ["d @ w.T", "d", "w.T"]


@pytest.mark.parametrize("text, names", [
    ("a = 1", {"a"}), ("a, b = 1, 2", {"a", "b"}), ("a[0] += 1", {"a"}),
    ("self.h = 1", {"h"}), ("cache['k'] = 1", {"cache"}), ("f(x)", set()),
])
def test_a_statement_assigns_to_names(text, names):
    assert assigned(ast.parse(text).body[0]) == names


@pytest.mark.parametrize("text, is_one", [
    ("x, w = cache", True), ("return x", True), ("a, b = f(x)", False), ("x = cache", False)])
def test_unpacking_computes_nothing(text, is_one):
    assert unpacks(ast.parse(text).body[0]) is is_one


def test_floats_are_nudged_everywhere_and_all_else_stays():
    array = np.random.default_rng(0).standard_normal((2, 3))
    assert np.all(nudged(array) != array) and np.abs(nudged(array) - array).max() < 0.01
    assert nudged({"a": array})["a"].shape == (2, 3)
    for same in (np.arange(3), True, "text", None, ("a", 1 == 1)):
        assert nudged(same) is same


def test_gradients_move_where_they_differ_by_more_than_rounding():
    a = np.random.default_rng(1).standard_normal(5)
    assert not moved_by(a, a * (1 + 1e-15)) and moved_by(a, a * (1 + 1e-8))
    assert moved_by(a, None) and not moved_by(None, None) and moved_by(a, a[:3])
    assert moved_by(a, a * np.nan)


def test_names_of_one_kind_can_be_mistaken_for_each_other():
    assert alike(np.ones(2), np.zeros((3, 4))) and alike(1, 2.0)
    assert not alike(np.ones(2), np.arange(2)) and not alike(None, None)
    assert is_number(np.float32(1)) and is_number(3) and not is_number("3")


@pytest.mark.parametrize("value", [[1.0, [2.0, 3.0]], {"x": 1.0}, "x"])
def test_a_value_that_is_no_array_is_no_change_of_one(value):
    site = next(iter(sites_of(copy.deepcopy(function_of(backward.__code__)))))
    site.seen = [(np.ones((2, 3)), 0)]
    assert difference([value], site) is None
    assert np.array_equal(difference([np.zeros((2, 3))], site), -np.ones(6))
