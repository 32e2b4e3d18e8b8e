import numpy as np
import pytest

from npgpt.doctor import check, check_function

from ..pairs import normal, softmax_forward


@pytest.mark.parametrize("shape, axis", [((2, 3, 8), 2), ((1, 3), 1), ((3,), 0), ((4, 1), 1)])
def test_the_sigmoids_derivative_of_a_softmax_is_told_at_every_shape(shape, axis):
    report = check(softmax_forward, lambda dout, out: (dout * out * (1 - out),), normal(0, *shape))
    if shape[-1] == 1:  # one probability of 1: nothing moves it, and both say so
        assert report.ok
        return
    assert report.kinds == ["softmax-diagonal"]
    message = report.findings[0].message
    assert "the derivative of the sigmoid" in message
    assert f"`out * (dout - (dout * out).sum({axis}, keepdims=True))` would be right" in message


def test_a_real_sigmoid_is_left_alone():
    def forward(x):
        out = 1 / (1 + np.exp(-x))
        return out, out

    assert check(forward, lambda dout, out: (dout * out * (1 - out),), normal(0, 3, 4)).ok
    kind, = check(forward, lambda dout, out: (dout * out,), normal(0, 3, 4)).kinds
    assert kind in ("missing-factor", "missing-term")


@pytest.mark.parametrize("mean", [False, True])
def test_a_target_that_is_never_subtracted_is_told(mean):
    y = np.array([1, 0, 3, 2, 2])

    def loss(x):
        shifted = x - x.real.max(1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        picked = -logp[np.arange(5), y]
        return picked.mean() if mean else picked.sum()

    def grad(x):
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True) / (5 if mean else 1)

    report = check_function(loss, grad, normal(0, 5, 4))
    assert report.kinds == ["one-hot-forgotten"]
    assert "one-hot target is never subtracted" in report.findings[0].message
