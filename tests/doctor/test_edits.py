import ast

import numpy as np
import pytest

from npgpt.doctor.edits import edits, is_mask
from npgpt.doctor.kinds import KINDS


def all_edits(text, **seen):
    tree = ast.parse(text).body[0]
    found = []
    for family in edits(tree, seen):
        for edit in family:
            old = edit.slot.get()
            edit.slot.put(edit.new)
            found.append((edit.kind, ast.unparse(tree)))
            edit.slot.put(old)
    assert ast.unparse(tree) == ast.unparse(ast.parse(text))
    return found


@pytest.mark.parametrize("text, kind, repaired", [
    ("return dout @ w", "transposed", "return dout @ w.swapaxes(-1, -2)"),
    ("return dout.mean(axis=0)", "mean-for-sum", "return dout.sum(axis=0)"),
    ("return dout.sum(axis=0)", "wrong-axis", "return dout.sum(axis=-1)"),
    ("return dout.sum(0)", "wrong-axis", "return dout.sum(-1)"),
    ("return np.sum(dout, 1)", "wrong-axis", "return np.sum(dout, 0)"),
    ("return np.mean(dout, 1)", "mean-for-sum", "return np.sum(dout, 1)"),
    ("return dout.mean(0)", "wrong-axis", "return dout.mean(1, keepdims=True)"),
    ("return np.abs(dout)", "extra-call", "return dout"),
    ("return dout * w * w", "extra-factor", "return _c * (dout * w)"),
    ("return dout + w + w", "accumulated-twice", "return dout + w"),
    ("return dout", "wrong-variable", "return w"),
    ("return np.where(dout > 0, dout, 0)", "mask-inverted", "return np.where(dout > 0, 0, dout)"),
])
def test_a_fault_has_its_edit(text, kind, repaired):
    source = f"def f(dout, w):\n    {text}"
    found = all_edits(source, dout=np.ones((2, 2)), w=np.eye(2) + 2)
    assert (kind, f"def f(dout, w):\n    {repaired}") in found


def test_an_overwriting_assignment_can_become_an_addition():
    source = "def f(dout, ids, t):\n    t[ids] = dout\n    return t"
    found = all_edits(source, dout=np.ones(2), ids=np.array([0, 0]), t=np.zeros(3))
    assert any(kind == "repeated-ids-overwritten" and "np.add.at(t, ids, dout)" in text
               for kind, text in found)


def test_every_edit_has_a_listed_kind_and_parses():
    source = "def f(dout, w):\n    a = dout * w\n    t = a.sum(axis=0)\n    return a - t / 2.0"
    found = all_edits(source, dout=np.ones((2, 2)), w=np.eye(2), a=np.eye(2), t=np.ones(2))
    assert len(found) > 100
    for kind, text in found:
        assert kind in KINDS
        ast.parse(text)


def test_masks_are_flags_or_zeros_and_one_other_number():
    assert is_mask(np.array([True, False]))
    assert is_mask(np.array([0.0, 2.5, 0.0]))
    assert not is_mask(np.array([0.0, 2.5, 1.0]))
    assert not is_mask(np.array([1.0, 1.0]))
