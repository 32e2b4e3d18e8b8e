import re

import numpy as np

from npgpt.doctor import check

from .pairs import damaged, linear_backward, linear_forward, linear_inputs, normal


def test_the_lines_that_only_a_wrong_gradient_needs_are_told():
    def backward(dout, cache):
        x, weight, _ = cache
        dbias = dout.sum((0, 1))
        dx = dout @ weight.T
        mixed = np.tanh(x) * np.cumsum(x, 1) + np.cos(3 * x)
        dweight = np.einsum("btc,btd->cd", mixed, dout) + np.outer(mixed[0, 0], dbias[::-1])
        return dx, dweight, dbias

    finding, = check(linear_forward, backward, *linear_inputs()).findings
    first = backward.__code__.co_firstlineno
    assert (finding.kind, finding.argument) == ("unexplained", "weight")
    assert f"lies in lines {first + 4} to {first + 5} of backward" in finding.message
    assert "(the gradient of x, bias is right, and needs none of them)" in finding.message


def test_a_tensor_that_is_wrong_everywhere_is_not_drawn():
    noise = normal(4, 4, 5)
    finding, = check(
        linear_forward, damaged(linear_backward, lambda dx, dw, db: (
            dx, np.cumsum(dw).reshape(4, 5) * np.cos(noise), db)),
        *linear_inputs()).findings
    assert finding.kind == "unexplained" and not finding.picture
    assert "20 of 20 elements are wrong." in finding.message


def test_the_numbers_of_a_loss_are_the_users_own():
    report = check(lambda x: ((x**2).sum(), x), lambda dout, x: (dout * 3 * x,),
                   np.array([1.0, 2.0]))
    finding, = report.findings
    assert (finding.index, finding.analytic) == ((1,), 6.0)
    assert abs(finding.numeric - 4) < 1e-12


def test_how_many_digits_are_right_is_told_where_some_are():
    def backward(dout, x):  # through Python's own numbers, so that nothing names the fault
        return (dout * np.array([round(3 * v * v, 4) for v in x.tolist()]),)

    finding, = check(lambda x: (x**3, x), backward, np.linspace(0.31, 2, 9)).findings
    assert "It is right to" in finding.message or finding.kind != "unexplained"


def test_what_is_never_used_is_said_where_nothing_is_known():
    def forward(x):
        parts = np.stack([np.sin(x), np.cos(x), np.tanh(x)])
        which = parts.argmax(0)
        return parts.max(0), (x, which)

    def backward(dout, cache):
        x, which = cache
        scale, _ = np.cosh(x) ** 0.3, which
        lost = np.exp(scale)        # noqa: F841
        n, d = x.shape
        return np.sin(dout * 0 + 1) * dout / (1 + np.abs(x)) ** 1.7

    (found,) = check(forward, backward, np.random.default_rng(0).standard_normal((3, 4))).findings
    assert found.kind == "unexplained" and "`scale`" not in found.message
    assert re.search(r"`lost` \(line \d+ of backward\) is never used", found.message)


def test_the_line_of_what_is_returned_is_among_those_that_may_be_wrong():
    def forward(x, w):
        return np.sin(x) * w, (x, w)

    def backward(dout, cache):
        x, w = cache
        slope = np.cos(x)
        return (
            np.tanh(slope + 0.3) * dout * w ** 1.7,
            dout * np.sin(x))

    x, w = (np.random.default_rng(k).uniform(0.5, 1.5, (2, 3)) for k in (0, 1))
    (found,) = check(forward, backward, x, w).findings
    first = backward.__code__.co_firstlineno
    assert found.argument == "x" and f"lines {first + 2} to {first + 4} of" in found.message
