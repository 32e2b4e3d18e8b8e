import numpy as np
import pytest

from npgpt.doctor import check

from ..pairs import layernorm_forward, layernorm_inputs, softmax_forward


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
    assert report.kinds == ["softmax-diagonal"]


def test_two_forgotten_paths_are_both_named():
    report = check(layernorm_forward, layernorm_with(0, 0), *layernorm_inputs())
    assert report.kinds == ["missing-term", "missing-term"]
    assert {"`mean`", "`var`"} <= set(" ".join(f.message for f in report.findings).split())


@pytest.mark.parametrize("statistic, path", [
    (lambda c: c.std(1, keepdims=True), "spread"),
    (lambda c: np.sqrt(np.var(c, axis=1, keepdims=True)), "spread"),
    (lambda c: np.linalg.norm(c, axis=1, keepdims=True), "spread"),
    (lambda c: np.abs(c).mean(1, keepdims=True), "spread"),
])
def test_a_forward_that_takes_no_complex_step_has_paths_too(statistic, path):
    def forward(x):
        centre = x - x.mean(1, keepdims=True)
        spread = statistic(centre)
        return centre / spread, spread

    def backward(dout, spread):
        dcentre = dout / spread
        return (dcentre - dcentre.mean(1, keepdims=True),)

    report = check(forward, backward, np.random.default_rng(1).standard_normal((3, 5)))
    assert report.kinds == ["missing-term"]
    assert f"`{path}` (line" in report.findings[0].message
    assert "of forward)" in report.findings[0].message


def test_a_maximum_that_is_subtracted_does_not_hide_a_forgotten_path():
    def forward(z, y):
        z = z - z.max(axis=1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return (logp * y).sum(axis=1), (np.exp(logp), y, logp)

    def backward(dout, cache):
        p, y, logp = cache
        return -dout[:, None] * p * y.sum(axis=1, keepdims=True), dout[:, None] * logp

    report = check(forward, backward, layernorm_inputs()[0][0], layernorm_inputs()[0][1])
    assert report.kinds == ["missing-term"]
    assert "`z` in `z - np.log(" in report.findings[0].message


def test_messages_speak_in_the_words_of_the_users_source():
    def forward(x):
        return x * np.log1p(x * x) + np.exp(x), x

    def backward(dout, x):
        return (dout * (np.log1p(x * x) + np.exp(x)),)

    report = check(forward, backward, np.linspace(0.1, 1, 7))
    assert report.kinds == ["missing-term"]
    assert "_site" not in str(report)
    assert "`np.log1p(x * x)` in `x * np.log1p(x * x)`" in report.findings[0].message


def test_a_forgotten_path_and_a_factor_on_everything_are_both_named():
    def backward(dout, cache):
        xhat, rstd, weight = cache
        d = dout * weight
        return -3 * rstd * (d - d.mean(-1, keepdims=True)), (dout * xhat).sum((0, 1)), dout.sum(
            (0, 1))

    report = check(layernorm_forward, backward, *layernorm_inputs())
    assert report.kinds == ["missing-term", "factor"]
    assert "`var`" in report.findings[0].message and "-3" in report.findings[1].message


def test_two_sums_for_means_are_counted():
    def backward(dout, cache):
        xhat, rstd, weight = cache
        d = dout * weight
        a = d.sum(-1, keepdims=True)
        b = xhat * (d * xhat).sum(-1, keepdims=True)
        return rstd * (d - a - b), (dout * xhat).sum((0, 1)), dout.sum((0, 1))

    report = check(layernorm_forward, backward, *layernorm_inputs())
    assert report.kinds == ["term-factor", "term-factor"]
    assert "counts 8 times" in report.findings[0].message
