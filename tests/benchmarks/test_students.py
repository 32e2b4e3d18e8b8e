"""The set of students' code holds its promises: right is right, a fault is one, no size twice."""

import ast
import re
from collections import Counter

import numpy as np
import pytest

from benchmarks.students.__main__ import placed, repaired, report_of, section, targets
from benchmarks.students.faults import FAULTS
from benchmarks.students.piece import STYLES, draw, pieces
from benchmarks.students.proof import symptoms, wrong_by_differences
from npgpt.doctor import Finding

PIECES = pieces()
BY_STYLE = [[p for p in PIECES.values() if p.style == style] for style in STYLES]
FAULTS_BY_STYLE = [[f for f in FAULTS if f.piece.style == style] for style in STYLES]


def use_of(piece):
    (last,) = [n for n in ast.parse(piece.source).body
               if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "USE"]
    return ast.literal_eval(last.value)


def test_every_style_has_pieces_and_faults_enough():
    assert min(map(len, BY_STYLE)) >= 12 and len(PIECES) >= 70
    assert min(map(len, FAULTS_BY_STYLE)) >= 12 and len(FAULTS) >= 70
    assert min(Counter(f.category for f in FAULTS).values()) >= 2


@pytest.mark.parametrize("some", BY_STYLE, ids=STYLES)
def test_every_right_piece_is_right(some):
    assert {p.name: wrong for p in some if (wrong := wrong_by_differences(p))} == {}


@pytest.mark.parametrize("some", BY_STYLE, ids=STYLES)
def test_no_right_piece_writes_or_remembers(some):
    assert {p.name: found for p in some if (found := symptoms(p, p))} == {}


@pytest.mark.parametrize("some", FAULTS_BY_STYLE, ids=STYLES)
def test_every_fault_is_one(some):
    assert [f.id for f in some if not symptoms(f.piece, f.faulty, f.inputs)] == []


def test_every_piece_has_sizes_that_are_all_different():
    for piece in PIECES.values():
        sizes = draw(use_of(piece)["inputs"]).sizes
        assert len(set(sizes.values())) == len(sizes), f"{piece.name}: {sizes}"


def test_every_piece_is_as_long_as_a_students_code_is():
    lengths = {p.name: p.source[:p.source.index("\nUSE = {")].count("\n") for p in PIECES.values()}
    assert {n: k for n, k in lengths.items() if not 3 <= k <= 75} == {}


def test_every_fault_says_something_to_its_author_and_accepts_a_kind():
    for fault in FAULTS:
        assert fault.sentence.endswith(".") and fault.accepted.split() and fault.category, fault.id
        assert all(re.fullmatch(r"[a-z0-9-]+", k) for k in fault.accepted.split()), fault.id
    assert max(Counter(f.id for f in FAULTS).values()) == 1


def test_inputs_that_are_not_of_the_form_are_an_error():
    with pytest.raises(ValueError, match="expected inputs such as"):
        draw("x=(N=3,D=5) nonsense")


def test_the_kinds_of_inputs_are_what_they_say():
    given = draw("p=rows(N=3,C=4) y=ids(N)<C k=keep(N,T=5) s=signs(T) b=bits(T) u=unit(T) o=onehot"
                 "(N,C)")
    p, y, k, s, b, u, o = given.values.values()
    assert np.allclose(p.sum(-1), 1) and y[0] == y[-1] and y.max() < 4
    assert k.any(-1).all() and not k.all() and set(s) == {-1, 1} and set(b) == {0, 1}
    assert 0.1 <= u.min() and u.max() <= 0.9 and (o.sum(-1) == 1).all()
    assert given.floats == ("p", "u") and given.sizes == {"N": 3, "C": 4, "T": 5}


def fault(name, before):
    return next(f for f in FAULTS if f.name == name and f.before.startswith(before))


def test_a_place_is_the_faulty_line_or_what_it_assigns():
    through = fault("rmsnorm", "dms")
    assert targets(through) == {"dms"}
    assert placed(through, Finding("factor", "x", f"line {through.line} of it"), ["x"])
    assert placed(through, Finding("factor", "x", f"Too large. Line {through.line} of it"), ["x"])
    assert placed(through, Finding("factor", "x", "dms is too large"), ["x"])
    assert not placed(through, Finding("factor", "x", "x is too large"), ["x"])
    key = fault("two_layer_net", 'grads["W1"]')
    assert targets(key) == {"W1"}
    assert placed(key, Finding("missing-term", "W1", ""), ["W1"])
    assert not placed(key, Finding("missing-term", "W2", ""), ["W2"])
    last = fault("linear", "return dx, dW, db")
    assert placed(last, Finding("another-input", "W and b", ""), ["W", "b"])


@pytest.mark.parametrize("name", ["linear", "softmax_loss", "sigmoid_class",
                                  "logistic_regression", "bigram", "lstm_step"])
def test_each_style_reaches_the_check(name, tmp_path):
    entry, report = report_of(PIECES[name], tmp_path)
    assert report.ok, report
    assert entry == ("check" if name == "linear" else "check_function")


def test_what_a_students_code_raises_is_a_finding(tmp_path):
    broken = fault("sequential", "for layer in reversed").faulty
    assert report_of(broken, tmp_path)[1].kinds in (["backward-raises"], ["raised"])


def test_the_tables_add_up():
    row = {"right": 2, "accused": 1, "faults": 4, "detected": 4, "placed": 3, "repaired": 2,
           "named": 3}
    text = section({"styles": {"pairs": row, "ninja": row}, "categories": {"sign": row}})
    assert "4 right pieces of code as students write it, 2 of them accused; 8 mistakes" in text
    assert "6 placed, 6 (75%) named: for 4 the change" in text
    assert "| **all** | 4 | 2 | 8 | 8 | 6 | 4 | 6 |" in text
    assert "| sign | 4 | 4 | 3 | 2 | 3 |" in text


def test_the_change_that_a_report_offers_is_tried_as_it_stands_there():
    wrong = fault("linear", "dx = dout")
    line = wrong.line
    text = f"Line {line} of linear_backward has `dx = dout @ W.T / dout.shape[0]`; `dx = {{}}` " \
           "would be right."
    assert repaired(wrong, Finding("factor", "x", text.format("dout @ W.T")))
    assert not repaired(wrong, Finding("factor", "x", text.format("dout @ W")))
    assert not repaired(wrong, Finding("factor", "x", "The gradient of x is too small."))
