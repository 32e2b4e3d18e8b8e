import importlib.util
import time

import numpy as np
import pytest

from npgpt.doctor import check, examine
from npgpt.doctor.evidence.subject import Subject

from .pairs import (
    attention_backward,
    attention_forward,
    attention_inputs,
    damaged,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
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
    assert "near [0, 1, 0:4]" in found[0].picture and "analytic" in found[0].picture


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
    assert "`weights` would be right" in found[0].message


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
    backward = damaged(lambda dout, x: (2 * x * dout,), lambda dx: (np.sinh(dx),))
    report = check(lambda x: (x * x, x), backward, np.linspace(0.2, 2, 6))
    assert report.kinds == ["not-linear"]  # one fault, told once


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
    assert finding.kind == "missing-term" and "would be right" in finding.message


def test_a_gradient_that_no_dout_moves_is_told():
    found = linear(lambda dx, dw, db: (dx, np.cos(np.arange(20.0)).reshape(4, 5), db))
    assert [f.kind for f in found] == ["missing-factor"]
    assert "does not depend on dout" in found[0].message


LAYERNORM = """
import numpy as np

def layernorm_forward(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    xhat = centred * rstd
    return xhat * weight + bias, (xhat, rstd, weight)

def layernorm_backward(dout, cache):
    xhat, rstd, weight = cache
    dxhat = dout * weight
    through_mean = dxhat.mean(-1, keepdims=True)
    through_var = xhat * (dxhat * xhat).mean(-1, keepdims=True)
    dx = rstd * (dxhat - through_mean - through_var)
    return dx, (dout * xhat).sum((0, 1)), dout.sum((0, 1))
"""


def load(folder, code):
    """The module of this code, from a file whose lines a report can quote."""
    path = folder / "mine.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_faults_in_two_gradients_are_named_each_for_its_own_input(tmp_path):
    inputs = normal(0, 2, 3, 8), normal(1, 8), normal(2, 8)
    code = LAYERNORM.replace(" - through_var)", ")").replace("dout.sum", "dout.mean")
    wrong = load(tmp_path, code)
    found = check(wrong.layernorm_forward, wrong.layernorm_backward, *inputs).findings
    found = {f.argument: f for f in found}
    assert {name: f.kind for name, f in found.items()} == {
        "x": "missing-term", "bias": "mean-for-sum"}
    assert "Line 15 of layernorm_backward" in found["x"].message
    assert "6 positions" in found["bias"].message


def test_a_fault_shared_by_two_inputs_is_told_once_beside_a_third_input_with_its_own():
    def forward(x, y, z):
        a = np.sin(x * y)
        return a * np.exp(x) + x * y + z, (x, y)

    def backward(dout, cache):  # a is forgotten, and z has the wrong sign
        x, y = cache
        return dout * (np.sin(x * y) * np.exp(x) + y), dout * x, -dout

    found = check(forward, backward, normal(0, 6), normal(1, 6), normal(2, 6)).findings
    assert [(f.kind, f.argument) for f in found] == [
        ("missing-term", "x, y"), ("term-sign", "z")]


def test_of_two_paths_each_names_only_the_inputs_that_it_reaches():
    def forward(x, y):
        a = np.sin(x * y)
        b = np.exp(x)
        return a * b + y * b, (x, y)

    def backward(dout, cache):  # a counts twice, and b not at all
        x, y = cache
        da = 2 * dout * np.exp(x) * np.cos(x * y)
        return da * y, da * x + dout * np.exp(x)

    found = check(forward, backward, normal(0, 6), normal(1, 6)).findings
    kinds = {(f.kind, f.argument) for f in found}
    assert ("missing-term", "x") in kinds
    assert "y" not in [f.argument for f in found if f.kind == "missing-term"]
    assert all("y" in a for k, a in kinds if k != "missing-term")


def test_the_first_rule_that_fits_gives_the_name_and_its_evidence():
    found = linear(lambda dx, dw, db: (-dx, dw, db))
    assert [f.kind for f in found] == ["wrong-sign"]


def test_a_rearrangement_times_a_number_is_two_names():
    found = linear(lambda dx, dw, db: (dx, -3 * dw[::-1], db))
    assert [f.kind for f in found] == ["axes-swapped", "factor"]


@pytest.mark.parametrize("damage, kind", [
    (lambda dw: dw.T, "transposed"),
    (lambda dw: np.stack([dw / 2, dw / 2]), "missing-broadcast-sum"),
    (lambda dw: dw[None], "wrong-shape"),
])
def test_a_gradient_of_the_wrong_shape_is_named_by_its_numbers(damage, kind):
    found = linear(lambda dx, dw, db: (dx, damage(dw), db))
    assert [(f.kind, f.argument) for f in found] == [(kind, "weight")]
    assert "(4, 5)" in found[0].message


def test_a_shape_that_nothing_explains_is_just_told():
    found = linear(lambda dx, dw, db: (dx, np.ones((7, 7)), db))
    assert [f.kind for f in found] == ["wrong-shape"]


def test_a_lone_number_without_dout_lacks_the_factor_with_dout():
    found = linear(lambda dx, dw, db: (dx, np.array(0.5), db))
    assert [(f.kind, f.argument) for f in found] == [("missing-factor", "weight")]
    assert "does not depend on dout" in found[0].message


def test_a_factor_and_rounding_are_two_names():
    found = linear(lambda dx, dw, db: (dx, (-8 * dw).astype("f4").astype("f8"), db))
    assert [f.kind for f in found] == ["factor", "float32"]


@pytest.mark.parametrize("factor, kinds", [(-1, ["wrong-sign"]), (1, []), (0.5, ["factor"])])
def test_a_function_in_float32_has_the_same_names_within_its_digits(factor, kinds):
    def forward(x):
        return np.square(x.astype(np.float32)), x

    def backward(dout, x):
        return (factor * 2 * dout * x,)

    assert check(forward, backward, normal(0, 3, 4)).kinds == kinds


def test_one_factor_on_every_gradient_is_one_finding():
    found = linear(lambda dx, dw, db: (3 * dx, 3 * dw, 3 * db))
    assert [(f.kind, f.argument) for f in found] == [("factor", "x, weight, bias")]
    assert "So it is for weight, bias." in found[0].message


def test_no_clock_is_read_and_the_same_seed_gives_the_same_report(monkeypatch):
    def backward(dout, cache):
        q, k, v, weights, _ = cache
        dweights = dout @ v.swapaxes(-1, -2)
        dscores = weights * (dweights - dweights.mean(-1, keepdims=True))
        return dscores @ k, 2 * dscores.swapaxes(-1, -2) @ q, -(weights @ dout)

    def clock(*_):
        raise AssertionError("a clock was read")

    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time", "time_ns",
                 "monotonic_ns", "perf_counter_ns", "process_time_ns", "thread_time_ns", "sleep"):
        monkeypatch.setattr(time, name, clock)
    reports = [check(attention_forward, backward, *attention_inputs()) for _ in range(2)]
    monkeypatch.undo()
    assert str(reports[0]) == str(reports[1]) and not reports[0].ok
