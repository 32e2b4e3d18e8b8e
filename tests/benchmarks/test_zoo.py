"""No right gradient of PyTorch is called wrong where it is hard to measure: a part of the zoo."""

import json

import pytest

from benchmarks.zoo import RESULTS, ROUNDED, reports, section


def test_no_right_gradient_of_pytorch_is_called_wrong():
    pytest.importorskip("torch")
    found = list(reports(every=5))
    assert len(found) >= 100
    accused = {(name, point): report.kinds for name, point, report in found
               if not report.ok and set(report.kinds) != {"undecided"}}
    assert {name for name, _ in accused} <= set(ROUNDED)
    assert all(kinds == ["float32"] for kinds in accused.values())


def test_the_section_says_how_many_were_accused():
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = section(result | {"accused": 3})
    assert "3 were called wrong" in text and max(map(len, text.splitlines())) <= 105
