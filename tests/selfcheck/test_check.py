"""npgpt's own gradients meet the goal, and a wrong one among them is found."""

from dataclasses import replace

import numpy as np
import pytest

from npgpt.ops import TEXTBOOK as ops
from npgpt.selfcheck.cases import cases, model_cases
from npgpt.selfcheck.check import GOAL, SETS, check_models, check_ops
from npgpt.tape import Op


@pytest.mark.parametrize("which", SETS)
def test_every_op_is_right_to_the_goal_for_every_input(which):
    reports = list(check_ops(which))
    assert {r.op.split(",")[0] for r in reports} == set(SETS[which].named())
    for case, report in zip(cases(), reports, strict=True):
        assert report.ok, str(report)
        assert report.worst <= GOAL, str(report)
        floats = [a for a in case.inputs if a is not None and a.dtype.kind == "f"]
        assert report.op == case.label and len(report.rows) == len(floats)


def test_whole_models_of_the_fast_ops_are_right_to_the_goal():
    # tests/test_model.py has those of the textbook
    reports = list(check_models("fast"))
    assert len(reports) >= 10
    for report in reports:
        assert report.ok, str(report)
        assert report.worst <= GOAL


def wrong(name, damage):
    """The op of that name with its gradients put through `damage`."""
    right = getattr(ops, name)
    return Op(name, right.forward, lambda dout, cache: damage(*right.backward(dout, cache)))


@pytest.mark.smoke
@pytest.mark.parametrize("name, damage", [
    ("linear", lambda dx, dw, db: (dx, 7 * dw, db)),
    ("softmax", lambda dx: (np.zeros_like(dx),)),
    ("causal_attention", lambda dq, dk, dv: (dq, dk[..., ::-1], dv)),
    ("gelu", lambda dx: (dx * (1 + 1e-8),)),
])
def test_a_wrong_gradient_among_the_ops_is_found(monkeypatch, name, damage):
    monkeypatch.setitem(SETS, "textbook", replace(ops, **{name: wrong(name, damage)}))
    monkeypatch.setattr("npgpt.selfcheck.check.cases", lambda seed: [
        case for case in cases(seed) if case.op_name in (name, "residual", "layernorm")])
    bad = {r.op.split(",")[0] for r in check_ops() if not r.ok}
    assert bad == {name}


def test_a_wrong_layer_makes_a_whole_model_wrong(monkeypatch):
    damaged = wrong("multi_head_attention", lambda dqkv: (0.999 * dqkv,))
    monkeypatch.setitem(SETS, "textbook", replace(ops, multi_head_attention=damaged))
    monkeypatch.setattr("npgpt.selfcheck.check.model_cases", lambda seed: model_cases(seed)[-2:-1])
    assert [report.ok for report in check_models()] == [False]
