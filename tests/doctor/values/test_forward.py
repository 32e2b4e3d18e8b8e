"""diagnose_value: a function or a value, and the mistake that would give it."""

import functools
import math
import re
import time
from pathlib import Path

import numpy as np
import pytest

from npgpt import doctor
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.doctor.values.forward import diagnose_value
from npgpt.doctor.values.program import Program
from npgpt.layers.layernorm import layernorm_forward

rng = np.random.default_rng(0)
X, W, B = rng.standard_normal((2, 3, 6)), rng.standard_normal(6), rng.standard_normal(6)


def biased(x, weight, bias, eps=1e-5):
    deviation = np.sqrt(x.var(-1, ddof=1, keepdims=True) + eps)
    return (x - x.mean(-1, keepdims=True)) / deviation * weight + bias


@pytest.mark.smoke
def test_a_function_is_diagnosed_on_inputs_drawn_for_it():
    report = diagnose_value("layernorm", biased)
    assert report.kinds == ["unbiased-variance"] and not report.ok
    assert "npgpt explain unbiased-variance" in str(report)
    assert all(len(line) <= 80 for line in str(report).splitlines())


def test_a_function_is_diagnosed_on_ones_own_inputs():
    report = diagnose_value("layernorm", biased, X, W, B, eps=1e-3)
    assert report.kinds == ["unbiased-variance"] and report.where == "[0, 0, 0]"
    expected, _ = layernorm_forward(X, W, B, eps=1e-3)
    assert report.expected == f"{expected[0, 0, 0]:.9g}"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_value_alone_is_diagnosed(dtype):
    report = diagnose_value("layernorm", biased(X, W, B).astype(dtype), X, W, B)
    assert report.kinds == ["unbiased-variance"]
    assert diagnose_value("layernorm", layernorm_forward(X, W, B)[0].astype(dtype), X, W, B).ok


def test_a_right_function_may_give_a_cache_too():
    assert diagnose_value("layernorm", layernorm_forward).ok
    assert str(diagnose_value("layernorm", layernorm_forward)) == "layernorm: right"


def test_two_mistakes_are_both_named():
    report = diagnose_value("layernorm", lambda x, w, b: biased(x, w, b) - b)
    assert sorted(report.kinds) == ["norm-bias-forgotten", "unbiased-variance"]


def test_one_number_is_not_explained_by_chance():
    # three hundred pairs of mistakes come near any loss
    logits, targets = rng.standard_normal((2, 3, 5)), rng.integers(0, 5, (2, 3))
    for off in np.linspace(0.3, 3, 40):
        assert diagnose_value("cross_entropy", np.float64(off), logits, targets).kinds[0] in (
            "unexplained", "factor")
    right = diagnose_value("cross_entropy", lambda x, y: 0.0, logits, targets).expected
    bits = np.float64(right) / np.log(2)
    assert diagnose_value("cross_entropy", bits, logits, targets).kinds == ["loss-in-bits"]


def gelu_in(dtype, root=math.sqrt(2 / math.pi)):
    def gelu(x):
        x = x.astype(dtype)
        half = x.dtype.type(0.5)
        return half * x * (1 + np.tanh(x.dtype.type(root) * (x + x.dtype.type(0.044715) * x**3)))
    return gelu


def test_a_constant_with_few_digits_is_named():
    report = diagnose_value("gelu", gelu_in(float, 0.79788))
    assert report.kinds == ["gelu-root"] and "the factor inside tanh is 0.79788" in str(report)


@pytest.mark.parametrize("function, says", [
    (lambda x: gelu_in("f")(x).astype(float), ""),          # what float32 can hold
    (lambda x: gelu_in("f")(x).tolist(), ""),
    (lambda x: gelu_in("f")(x) * (1 + 1e-8 * np.sin(x)), "about 7 digits only"),
])
def test_what_is_computed_in_float32_is_as_right_as_float32(function, says):
    report = diagnose_value("gelu", function)
    assert report.ok and says in str(report)
    assert bool(report.elsewhere) == bool(says)


def test_what_is_right_to_few_digits_has_them_said():
    report = diagnose_value("softmax", lambda x: PROGRAMS["softmax"].function(x) * (
        1 + 3e-6 * np.cos(50 * x)))
    assert report.kinds == ["float32"] and "right to about 6 digits only: a step in" in " ".join(
        str(report).split())


def test_a_mistake_in_float32_is_named():
    def biased_in_float32(x, weight, bias):
        return biased(x.astype("f"), weight.astype("f"), bias.astype("f")).astype(float)

    assert diagnose_value("layernorm", biased_in_float32).kinds == ["unbiased-variance"]


def test_one_number_may_stand_in_an_array():
    def loss(logits, targets):
        return np.array([ce(logits, targets)])

    assert diagnose_value("cross_entropy", loss).ok
    report = diagnose_value("cross_entropy", lambda logits, targets: loss(logits, targets) / (
        np.log(2)))
    assert report.kinds == ["loss-in-bits"]


def test_rows_may_come_in_a_list_or_one_after_the_other():
    def softmax(x):
        return (np.exp(row - row.max()) / np.exp(row - row.max()).sum() for row in x)

    def pairs(ids, length):
        for n in range(0, len(ids) - length, length):
            yield ids[n:n + length], ids[n + 1:n + 1 + length]

    assert diagnose_value("softmax", softmax).ok
    assert diagnose_value("softmax", lambda x: [*softmax(x)]).ok
    assert diagnose_value("windows", pairs).ok
    assert diagnose_value("windows", lambda ids, length: [*pairs(ids, length)]).ok
    report = diagnose_value("windows", lambda ids, length: [
        (x, x) for x, _ in pairs(ids, length)])
    assert report.kinds == ["targets-not-shifted"]


def test_lists_of_numbers_are_arrays():
    rows = [[0.5, 2.0, 1.0], [1.0, -1.0, 0.0]]

    def softmax(rows):
        return [[math.exp(s) / sum(math.exp(u) for u in row) for s in row] for row in rows]

    assert diagnose_value("softmax", softmax(rows), rows).ok
    wrong = [[x / 2 for x in row] for row in softmax(rows)]
    assert diagnose_value("softmax", wrong, rows).kinds == ["factor"]
    assert diagnose_value("softmax", softmax).kinds == ["forward-raises"]    # where exp overflows


def test_the_callers_arrays_are_not_written_to():
    x = X.copy()
    report = diagnose_value("softmax", lambda x: np.exp(x, out=x), x)
    assert report.kinds == ["in-place"] and np.array_equal(x, X)


def test_a_sentence_of_ones_own_may_hold_braces():
    program = Program("sum", np.sum, [("mean", np.mean, "it is {x}, a mean")])
    assert "{x}" in str(diagnose_value(program, np.mean, X))


def test_mistakes_that_give_the_same_on_one_input_part_on_others():
    # divided by 6 or by C: the same for six channels
    program = Program("mean", lambda x: x / x.shape[-1], [
        ("by-6", lambda x: x / 6, "divided by 6"), ("by-rows", lambda x: x / len(x), "by rows")],
        draw=lambda rng, given, n: ((rng.standard_normal((3 + n, 5)),), {}))
    square = rng.standard_normal((6, 4))
    assert diagnose_value(program, square / 6, square).kinds == ["by-6"]
    assert [f.kind for f in diagnose_value(program, square / 6, square).others] == ["by-rows"]
    assert diagnose_value(program, lambda x: x / len(x), square).kinds == ["by-rows"]
    assert diagnose_value(program, lambda x: x / 6, square).kinds == ["by-6"]


def test_any_function_is_a_reference():
    def area(x, y):
        return x * y

    assert diagnose_value(area, np.multiply, X, X).ok
    report = diagnose_value(area, lambda x, y: -x * y, X, X)
    assert report.kinds == ["wrong-sign"] and report.name == "area"
    assert diagnose_value(area, lambda x, y: x * y * 3, X, X).kinds == ["factor"]
    assert "the length of axis 1 (3)" in str(diagnose_value(area, lambda x, y: x * y * 3, X, X))
    assert diagnose_value(area, lambda x, y: x * y + x, X, X).kinds == ["unexplained"]


def test_conventions_are_no_mistakes():
    def clip(grads, max_norm):
        norm = sum((g * g).sum() for g in grads.values()) ** 0.5
        return {k: g * min(1, max_norm / (norm + 1e-6)) for k, g in grads.items()}

    def in_place(grads, max_norm):
        norm = sum((g * g).sum() for g in grads.values()) ** 0.5
        for g in grads.values():
            g *= min(1, max_norm / norm)
        return norm

    assert diagnose_value("clip", clip).ok and diagnose_value("clip", in_place).ok


def raises(x):
    return x + np.ones(77)


@pytest.mark.parametrize("function, kind, says", [
    (raises, "forward-raises", "return x + np.ones(77)"),
    (functools.wraps(raises)(lambda x: raises(x)), "forward-raises", "return x + np.ones(77)"),
    (lambda x, axis: x, "forward-raises", "called as softmax(x)"),
    (lambda x: None, "not-an-array", "is the return forgotten"),
    (lambda x: "text", "not-an-array", "expected arrays"),
    (lambda x: np.divide(x, x.sum(), out=x), "in-place", "writes into its input x"),
    (lambda x: x[:1], "wrong-shape", "expected shape"),
    (lambda x: x * np.nan, "not-finite", "division by 0"),
    (lambda x: {"out": x}, "wrong-count", "expected"),
])
def test_what_cannot_be_compared_is_said(function, kind, says):
    report = diagnose_value("softmax", function)
    assert report.kinds == [kind] and says in str(report), str(report)


@pytest.mark.parametrize("program", ["clip", "bpe_train", "softmax", "learning_rate"])
@pytest.mark.parametrize("odd", [{}, [], (), np.zeros(4), np.float64(1), [b"a"] * 4, {"a": "b"},
                                 [[1, 2], [3]], np.array(["a"]), object(), True])
def test_whatever_a_function_returns_there_is_a_report(program, odd):
    report = diagnose_value(program, lambda *inputs, **settings: odd)
    assert not report.ok and str(report)


def test_a_mistake_before_an_overflow_is_named_first():
    def softmax(x):
        return np.array([[2 ** v / sum(2 ** u for u in row) for v in row] for row in x.tolist()])

    with pytest.raises(OverflowError):
        math.exp(1e4)
    assert diagnose_value("softmax", softmax).kinds[0] == "softmax-base-2"


def test_dropout_is_judged_by_what_it_kept():
    def dropout(x, rate, training=True, *, low=0.0):
        keep = np.random.default_rng(7).random(x.shape) > rate
        return x * keep / (1 - rate) if training else x

    assert diagnose_value("dropout", dropout).ok
    assert diagnose_value("dropout", lambda x, rate, training: (
        dropout(x, rate, training), "a cache")).ok
    for function, kind in (
            (lambda x, rate, training: dropout(x, rate, training) * (1 - rate * training),
             "dropout-not-rescaled"),
            (lambda x, rate, training: dropout(x, 1 - rate, training) / (
                (1 - rate) / rate if training else 1), "keep-for-drop"),
            (lambda x, rate: dropout(x, rate), "dropout-at-evaluation")):
        assert diagnose_value("dropout", function).kinds == [kind]


@pytest.mark.parametrize("call, says", [
    (lambda: diagnose_value("layernrom", biased), "did you mean 'layernorm'"),
    (lambda: diagnose_value("layernorm", biased, epz=1), "no setting 'epz'; expected x, weight"),
    (lambda: diagnose_value("layernorm", X), "needs its inputs: x, weight, bias, eps"),
    (lambda: diagnose_value("layernorm", biased, X, W), "cannot be computed .* expected x, weight"),
    (lambda: diagnose_value("layernorm", X, X, W, W[:2]), "cannot be computed"),
    (lambda: diagnose_value([], biased), "unknown program"),
    (lambda: diagnose_value("residual", lambda x, y: x), "draws no inputs"),
    (lambda: diagnose_value(np.negative, np.negative), "draws no inputs"),
])
def test_a_callers_mistake_is_one_line(call, says):
    with pytest.raises(ValueError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_page_says_what_is_printed(capsys):
    page = Path(doctor.__file__).with_name("README.md").read_text(encoding="utf-8")
    part = page[page.index("## Wrong values"):]
    names = {}
    for block in re.findall(r"```python\n(.*?)```", part, re.DOTALL):
        exec(block, names)
    for line in capsys.readouterr().out.splitlines():
        assert f"    {line}\n" in part


def test_no_clock_is_read_and_the_same_call_gives_the_same_report(monkeypatch):
    for name in ("time", "monotonic", "perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: 1 / 0)
    assert diagnose_value("layernorm", biased) == diagnose_value("layernorm", biased)


def test_a_value_that_is_wrong_only_elsewhere_says_so():
    x, weight = np.ones((3, 4)), np.ones((4, 2))
    report = diagnose_value("linear", lambda x, w, b: x @ w, x, weight, np.zeros(2))
    assert report.kinds == ["linear-bias-forgotten"]
    assert "right at your inputs; wrong at others, of shape (2, 5, 6)" in str(report)
    assert not diagnose_value("linear", lambda x, w, b: x @ w, x, weight, np.ones(2)).elsewhere


def ce(logits, targets):
    """Of float32 logits, a float64: NumPy divides by a count of integers."""
    keep = targets != -100
    shifted = logits - logits.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, np.where(keep, targets, 0)[..., None], -1)[..., 0]
    return -(picked * keep).sum() / keep.sum()


@pytest.mark.parametrize("seed", range(8))
def test_what_is_made_of_float32_is_as_right_as_float32(seed):
    rng = np.random.default_rng(seed)
    logits = (3 * rng.standard_normal((4, 7, 31 + seed))).astype(np.float32)
    assert diagnose_value("cross_entropy", ce, logits, rng.integers(0, 31, (4, 7))).ok


def two_dimensional(x, weight, bias, eps=1e-5):
    n, d = x.shape
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + eps) * weight + bias


def test_a_function_that_takes_only_the_callers_kind_of_inputs_is_right():
    x = rng.standard_normal((3, 6))
    report = diagnose_value("layernorm", two_dimensional, x, np.ones(6), np.zeros(6))
    assert report.ok and "it raised ValueError: too many values to unpack" in " ".join(
        str(report).split())
    report = diagnose_value("layernorm", two_dimensional)
    assert report.kinds == ["forward-raises"] and "with arrays of shape (2, " in " ".join(
        str(report).split())


@pytest.mark.parametrize("what, f", [
    ("clip", lambda grads, max_norm: ({k: g * min(1.0, max_norm / (1e-6 + np.sqrt(sum(
        (g * g).sum() for g in grads.values())))) for k, g in grads.items()}, 1.0)),
    ("cross_entropy", lambda logits, targets: (ce(logits, targets), np.zeros_like(logits))),
    ("layernorm", lambda x, w, b, eps=1e-5: (two_dimensional(
        x.reshape(-1, x.shape[-1]), w, b, eps).reshape(x.shape), x.mean(-1), x.std(-1))),
])
def test_what_comes_with_the_value_is_left_aside(what, f):
    assert diagnose_value(what, f).ok


@pytest.mark.parametrize("what, f, kind", [
    ("clip", lambda grads, max_norm: {k: 0 * g if np.sqrt(sum(
        (g * g).sum() for g in grads.values())) > max_norm else g for k, g in grads.items()},
     "unexplained"),
    ("embedding", lambda ids, wte, wpe: (wte[ids] + wpe[:ids.shape[1]]) / 2, "factor"),
    ("dropout", lambda x, rate, rng: x, "nothing-dropped"),
])
def test_what_holds_only_where_nothing_is_wrong_is_no_name(what, f, kind):
    report = diagnose_value(what, f)
    assert report.kinds == [kind] and "axis" not in str(report)


def test_the_first_token_that_differs_is_shown():
    report = diagnose_value("bpe_encode", lambda text, merges: [bytes([b]) for b in text])
    assert report.kinds == ["nothing-merged"] and "at [1]: expected b'" in str(report)
    assert "it must return (out, cache)" in str(diagnose_value(
        "cached_attention", lambda ids, cache, p: p["wte"][ids]))
