import numpy as np
import pytest

from npgpt.gradcheck import check

from .pairs import layernorm_forward, layernorm_inputs, softmax_forward


def layernorm_with(mean, var):
    """A backward whose two paths have these weights, with no name in it that would tell."""

    def backward(dout, cache):
        xhat, rstd, weight = cache
        d = dout * weight
        a = d.mean(axis=-1, keepdims=True)
        b = xhat * (d * xhat).mean(axis=-1, keepdims=True)
        return rstd * (d - mean * a - var * b), (dout * xhat).sum((0, 1)), dout.sum((0, 1))

    return backward


@pytest.mark.parametrize("mean, var, kind, path", [
    (1, 0, "missing-term", "var"),
    (0, 1, "missing-term", "mean"),
    (1, -1, "term-sign", "var"),
])
def test_the_path_through_a_statistic_is_named_as_forward_names_it(mean, var, kind, path):
    report = check(layernorm_forward, layernorm_with(mean, var), *layernorm_inputs())
    assert report.kinds == [kind]
    assert f"`{path}`" in report.findings[0].message
    assert report.findings[0].argument == "x"
    assert f"weight {0 if kind == 'missing-term' else -1}" in report.findings[0].evidence


def test_the_right_weights_are_no_finding():
    assert check(layernorm_forward, layernorm_with(1, 1), *layernorm_inputs()).ok


def test_one_of_two_uses_of_a_value_is_named():
    def forward(x):
        return x * np.tanh(x), x

    report = check(forward, lambda dout, x: (dout * np.tanh(x),), np.linspace(0.1, 1, 7))
    assert report.kinds == ["missing-term"]
    assert "tanh(x)" in report.findings[0].message


def test_a_softmax_that_forgets_its_denominator_is_named():
    report = check(softmax_forward, lambda dout, out: (dout * out,), np.linspace(-1, 1, 5)[None])
    assert report.kinds == ["missing-term"]


def test_two_forgotten_paths_are_both_named():
    report = check(layernorm_forward, layernorm_with(0, 0), *layernorm_inputs())
    assert report.kinds == ["missing-term", "missing-term"]
    assert {"`mean`", "`var`"} <= set(" ".join(f.message for f in report.findings).split())
