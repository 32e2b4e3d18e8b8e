import ast

import numpy as np
import pytest

from npgpt.doctor.evidence.kinds import KINDS
from npgpt.doctor.reading.source import Function, slots
from npgpt.doctor.repairs import rows
from npgpt.doctor.repairs.edits import (
    fill,
    is_mask,
    places,
    structural,
    swaps,
    tree,
)

TABLES = (rows.STATEMENTS, rows.STRUCTURE, rows.SHAPES, rows.ONE_NAME, rows.OTHER_NAME, rows.FORMS,
          rows.TWO_NAMES, rows.FORWARD, rows.THROUGHOUT)


def texts(text):
    """(kind, changed text) of every change of a statement by itself."""
    node = ast.parse(text)
    function = Function(ast.parse("lambda: 0", mode="eval").body, texts.__code__)
    before = ast.unparse(node)
    found = []
    for slot in [s for s in slots(node) if isinstance(s.get(), ast.stmt)] + places(node):
        both = [*structural([*rows.STATEMENTS, *rows.STRUCTURE], slot), *swaps(function, slot, [])]
        for edit in both:
            old = slot.get()
            slot.put(edit.new)
            found.append((edit.kind, ast.unparse(ast.fix_missing_locations(node))))
            slot.put(old)
    assert ast.unparse(node) == before
    return found


@pytest.mark.parametrize("text, kind, repaired", [
    ("y = dout @ w", "transposed", "y = dout @ w.T"),
    ("y = dout.mean(axis=0)", "mean-for-sum", "y = dout.sum(axis=0)"),
    ("y = dout.sum(axis=0)", "wrong-axis", "y = dout.sum(axis=-1)"),
    ("y = np.sum(dout, 1)", "wrong-axis", "y = np.sum(dout, axis=0)"),
    ("y = np.mean(dout, 1)", "mean-for-sum", "y = np.sum(dout, 1)"),
    ("y = dout.sum(1)", "keepdims", "y = dout.sum(1, keepdims=True)"),
    ("y = np.tanh(dout)", "extra-call", "y = dout"),
    ("y = dout * w", "extra-factor", "y = dout"),
    ("y = dout + w", "term-sign", "y = dout - w"),
    ("y = dout // w", "wrong-operator", "y = dout / w"),
    ("y = r ** 2", "missing-factor", "y = r ** 3"),
    ("y = np.where(dout > 0, dout, 0)", "mask-inverted", "y = np.where(dout > 0, 0, dout)"),
    ("t[ids] = dout", "repeated-ids-overwritten", "np.add.at(t, ids, dout)"),
    ("t[0:2] = dout", "overwritten", "t[0:2] += dout"),
    ("y = f(x, w)", "arguments-swapped", "y = f(w, x)"),
    ("y = {'a': x, 'b': w}", "another-input", "y = {'a': w, 'b': x}"),
    ("for k in range(3):\n    pass", "wrong-order",
     "for k in reversed(range(3)):\n    pass"),
    ("y = a.reshape(2, 6)", "axes-swapped", "y = a.transpose((0, 2, 1, 3)).reshape(2, 6)"),
    ("y = np.einsum('ij,jk->ik', a, b)", "transposed", "y = np.einsum('ji,jk->ik', a, b)"),
    ("y = np.zeros_like(x, dtype=np.float32)", "float32", "y = np.zeros_like(x)"),
    ("dx", "forgotten-return", "return dx"),
])
def test_a_fault_has_its_edit(text, kind, repaired):
    assert (kind, repaired) in texts(text)


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_every_row_parses_and_has_a_listed_kind(table):
    for row in table:
        assert row.kind in KINDS, row
        ast.parse(row.pattern)
        if row.replacement != "return E":
            ast.parse(row.replacement)


def test_masks_are_flags_or_zeros_and_one_other_number():
    assert is_mask(np.array([True, False]))
    assert is_mask(np.array([0.0, 2.5, 0.0]))
    assert not is_mask(np.array([0.0, 2.5, 1.0]))
    assert not is_mask(np.array([1.0, 1.0]))


@pytest.mark.parametrize(("text", "written"), [
    ("1.5 * (2 * x ** 2 * dout)", "3 * x ** 2 * dout"),
    ("0.5 * 2", "1"),
    ("2 * (x * dout)", "2 * x * dout"),
    ("2 * (x / n)", "2 * x / n"),
    ("0.3 * (0.7 * x)", "0.3 * 0.7 * x"),
    ("-1 * (3 * x)", "-3 * x"),
    ("2 * x", "2 * x"),
    ("2 * (a + b)", "2 * (a + b)"),
    ("n * (a * b)", "n * (a * b)"),
])
def test_a_number_in_front_of_a_product_is_written_as_people_write_it(text, written):
    assert ast.unparse(fill(ast.parse(text, mode="eval").body)) == written


@pytest.mark.parametrize("template, parts, wanted", [
    ("E ** (F - 1)", {"E": "x", "F": "2"}, "x"), ("E[I - 1]", {"E": "h", "I": "t + 1"}, "h[t]"),
    ("E.T @ F", {"E": "a.T", "F": "b"}, "a @ b"), ("F * E ** (F - 1)", {"E": "x", "F": "4"},
                                                   "4 * x ** 3")])
def test_what_is_put_in_is_written_as_one_would(template, parts, wanted):
    made = fill(tree(template), **{k: tree(v) for k, v in parts.items()})
    assert ast.unparse(ast.fix_missing_locations(made)) == wanted


@pytest.mark.parametrize("module", ["np", "numpy", "jnp", "jax.numpy", "torch"])
def test_a_row_of_numpy_fits_the_codes_own_module_and_keeps_its_word(module):
    assert ("mask-inverted", f"y = {module}.where(m, b, a)") in texts(
        f"y = {module}.where(m, a, b)")
