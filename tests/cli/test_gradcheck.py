"""npgpt gradcheck: the table of our own layers, and a user's own file, right and wrong."""

import json
import os
import re
from dataclasses import replace

import pytest

from npgpt.ops import TEXTBOOK as ops
from npgpt.params import parameter_shapes
from npgpt.selfcheck.cases import cases, model_cases
from npgpt.selfcheck.check import SETS
from npgpt.tape import Op

RIGHT = '''
import numpy as np

# gradcheck: x=(2,3,8) weight=(8,)
def scale_forward(x, weight):
    return x * weight, (x, weight)

def scale_backward(dout, cache):
    x, weight = cache
    return dout * weight, (dout * x).sum((0, 1))
'''
WRONG = RIGHT.replace("(dout * x).sum((0, 1))", "(dout * x).mean((0, 1))")


@pytest.fixture
def few(monkeypatch):
    """Two layers and one model; tests/selfcheck checks all of them."""
    monkeypatch.setattr("npgpt.selfcheck.check.cases", lambda seed: [
        case for case in cases(seed) if case.op_name in ("gelu", "layernorm")])
    monkeypatch.setattr("npgpt.selfcheck.check.model_cases", lambda seed: model_cases(seed)[:1])


def test_every_layer_and_tensor_of_the_models_has_a_line_of_80_columns_by_its_whole_name(npgpt):
    code, out, err = npgpt("gradcheck", "--all")
    assert code == 0, out
    assert out.endswith("all right\n") and "goal 1e-10" in out
    assert max(map(len, out.splitlines())) <= 80
    for case in cases():
        assert f"\n{case.label} " in out, case.label
    for case in model_cases():
        for name in (n for n in parameter_shapes(case.config) if case.only in n):
            assert re.search(rf"^{re.escape(case.label)} +{name} ", out, re.M), (case.label, name)


@pytest.mark.smoke
def test_a_whole_model_has_one_line(npgpt, few):
    code, out, _ = npgpt("gradcheck")
    (case, *_) = model_cases()
    n = len(parameter_shapes(case.config))
    assert code == 0 and out.count(f"\n{case.label} ") == 1
    assert re.search(rf"^{re.escape(case.label)} +all {n} tensors ", out, re.M)


def test_the_fast_layers_are_checked_where_they_are_asked_for(npgpt, few, monkeypatch):
    def broken(*args):
        raise AssertionError("a layer of the textbook was asked")

    monkeypatch.setitem(SETS, "textbook", replace(ops, gelu=Op("gelu", broken, broken)))
    code, out, _ = npgpt("gradcheck", "--ops", "fast")
    assert code == 0 and out.endswith("all right\n")


def test_a_wrong_layer_gives_a_report_and_exit_code_1(npgpt, few, monkeypatch):
    wrong = Op("gelu", ops.gelu.forward, lambda dout, c: (-ops.gelu.backward(dout, c)[0],))
    monkeypatch.setitem(SETS, "textbook", replace(ops, gelu=wrong))
    code, out, _ = npgpt("gradcheck")
    assert max(map(len, out.splitlines())) <= 80
    assert code == 1 and " WRONG\n" in out and out.splitlines()[-1] == "1 WRONG: gelu"


@pytest.mark.smoke
def test_a_users_own_file_is_examined(npgpt, tmp_path):
    (tmp_path / "mine.py").write_text(RIGHT)
    for what in ("mine.py", "mine.py:scale"):
        code, out, err = npgpt("gradcheck", what)
        assert code == 0 and "every gradient is right" in out, out + err
    (tmp_path / "mine.py").write_text(WRONG)
    code, out, _ = npgpt("gradcheck", "mine.py")
    assert code == 1 and "weight" in out


def test_shapes_may_come_from_flags(npgpt, tmp_path):
    text = "\n".join(line for line in RIGHT.splitlines() if not line.startswith("#"))
    (tmp_path / "mine.py").write_text(text)
    code, out, err = npgpt("gradcheck", "mine.py", "--shape", "x=2,3,8", "--shape", "weight=8")
    assert code == 0, out + err


@pytest.mark.parametrize("arguments, codes, says", [
    (["missing.py"], (3,), "missing.py"),
    (["mine.py:other"], (2,), "other"),
    (["mine.py", "--shape", "x=two"], (2,), "--shape"),
    (["--shape", "x=2"], (2,), "--shape belongs to a FILE"),
    (["."], (2,), ". is a folder; name a Python file"),
    (["pipe"], (2,), "pipe is not a regular file; name a Python file"),
    (["latin.py"], (3,), "latin.py is not UTF-8 text: invalid byte at 5"),
    (["leaves.py"], (2,), "leaves.py cannot be imported: SystemExit: 3"),
])
def test_mistakes_are_one_line(npgpt, tmp_path, arguments, codes, says):
    (tmp_path / "mine.py").write_text(RIGHT)
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)")
    code, _, err = npgpt("gradcheck", *arguments)
    assert code in codes and says in err and err.count("\n") == 1


CLASS = '''
import numpy as np

# gradcheck: n_in=3 n_out=4 x=(2,3)
class Linear:
    def __init__(self, n_in, n_out):
        self.W = np.ones((n_in, n_out))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T
'''


def test_a_class_of_layers_is_examined_and_the_reports_are_written_as_json(npgpt, tmp_path):
    (tmp_path / "mine.py").write_text(CLASS)
    code, out, err = npgpt("gradcheck", "mine.py:Linear", "--json", "r.json")
    assert code == 0 and "Linear: every gradient is right" in out, out + err
    (report,) = json.loads((tmp_path / "r.json").read_text())
    assert report["ok"] and [row["argument"] for row in report["rows"]] == ["x", "W"]


def test_what_raises_and_what_is_left_over_are_findings_with_exit_code_1(npgpt, tmp_path):
    (tmp_path / "mine.py").write_text(CLASS.replace("self.W.T", "self.W") + (
        "\n# gradcheck: x=(2,)\nhelper = lambda x: x\n"))
    code, out, _ = npgpt("gradcheck", "mine.py")
    assert code == 1 and "helper is not part of a pair" in " ".join(out.split())
    assert "line 15 of backward: `dout @ self.W`: (2, 4) @ (3, 4)" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_the_tables_reports_are_json_too(npgpt, few, tmp_path):
    code, _, err = npgpt("gradcheck", "--json", "r.json")
    assert code == 0, err
    assert all(report["ok"] for report in json.loads((tmp_path / "r.json").read_text()))
