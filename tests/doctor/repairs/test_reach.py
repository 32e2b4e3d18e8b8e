"""What is in reach at a place, and the number that a repair needs as an expression of it."""

import ast
import types

import numpy as np
import pytest

from npgpt.doctor.evidence.measure import measure
from npgpt.doctor.evidence.subject import Subject
from npgpt.doctor.reading.source import slots
from npgpt.doctor.repairs.reach import Reach, as_numpy, copied, is_pure
from npgpt.doctor.repairs.rows import Row
from npgpt.doctor.repairs.suspects import Suspects
from npgpt.doctor.repairs.worlds import Budget


def forward(x, w):
    return x @ w / np.sqrt(x.shape[1]), {"x": x, "w": w}


def backward(dout, cache):
    d = dout / np.sqrt(cache["x"].shape[1])
    return d @ cache["w"].T, cache["x"].T @ dout


def reach_at(text):
    """What is in reach at the place of an expression of backward."""
    rng = np.random.default_rng(0)
    subject = Subject(
        forward, backward, (rng.standard_normal((3, 5)), rng.standard_normal((5, 2))), {})
    search = Suspects(measure(subject, rng, [0, 1]), Budget(1000))
    site = next(s for s in search._sites() if ast.unparse(s.slot.get()) == text)
    search._look(site, [0, 1])
    return Reach(site, search.program)


@pytest.mark.parametrize("text, pure", [
    ("a + b", True), ("np.exp(a).sum(0)", True), ("a.T @ b", True), ("np.exp(a, out=b)", False),
    ("a.fill(0)", False), ("np.random.rand(3)", False), ("f.forward(a)", False),
    ("(b := a)", False), ("helper(a)", True),
])
def test_an_expression_that_changes_something_is_not_computed_again(text, pure):
    assert is_pure(ast.parse(text, mode="eval")) is pure


def test_names_entries_and_sizes_are_in_reach():
    reach = reach_at("cache['x'].T @ dout")
    names = {ast.unparse(atom.node) for atom in reach.leaves}
    assert {"dout", "d", "cache['x']", "cache['w']"} <= names
    sizes = {(ast.unparse(node), value) for node, value in reach.scalars}
    assert ("len(d)", 3.0) in sizes and ("d.shape[1]", 2.0) in sizes


def test_a_number_is_put_as_a_size_or_a_root_before_it_is_put_as_a_number():
    reach = reach_at("cache['x'].T @ dout")
    row = Row("E", "c * E", "term-factor")
    forms = [(text, {k: ast.unparse(v) for k, v in parts.items()})
             for _, text, parts in reach.numbers(row, 1 / np.sqrt(5))]
    assert ("E / np.sqrt(S)", {"S": "cache['x'].shape[1]"}) in forms
    assert forms[-1][0].startswith("0.447213595")
    assert next(reach.numbers(row, -1.0))[:2] == ("wrong-sign", "-E")
    assert next(reach.numbers(row, 2.0))[:2] == ("term-factor", "2 * E")


def test_a_place_is_a_function_of_its_parts():
    reach = reach_at("cache['x'].T @ dout")
    whole = reach.site.slot
    part = next(s for s in slots(whole.get()) if ast.unparse(s.get()) == "dout")
    hole = reach.hole(whole, part)
    twice = hole.filled("c * E", {}, 2.0)[0]
    np.testing.assert_allclose(twice, 2 * reach.site.seen[0][0])
    assert hole.filled("E @ E", {}, 1.0) is None


def test_a_copy_shares_no_array():
    layer = types.SimpleNamespace(w=np.ones(3))
    held = {"x": np.ones(2), "several": [np.ones(1), "text"], "layer": layer}
    copy = copied(held)
    assert not np.shares_memory(copy["x"], held["x"])
    assert not np.shares_memory(copy["several"][0], held["several"][0])
    assert not np.shares_memory(copy["layer"].w, layer.w) and copy["several"][1] == "text"


@pytest.mark.parametrize("text, plain", [
    ("x.exp().sum(dim=0, keepdim=True)", "np.exp(x).sum(axis=0, keepdims=True)"),
    ("x.t() @ x.pow(2)", "x.T @ x ** 2"), ("torch.tanh(x)", "np.tanh(x)"),
    ("np.exp(x)", "np.exp(x)"), ("torch.sigmoid(x)", "torch.sigmoid(x)"),
])
def test_pytorchs_words_are_read_as_numpys(text, plain):
    node = ast.parse(text, mode="eval").body
    assert ast.unparse(as_numpy(node)) == plain and ast.unparse(node) == text
    assert is_pure(node) is ("sigmoid" not in text)
