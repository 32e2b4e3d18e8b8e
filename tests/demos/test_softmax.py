"""Probabilities, loss and gradient against Python's math and against differences."""

import math

import numpy as np
import pytest

from npgpt.demos.softmax import softmax_demo, softmax_picture, softmax_text


def test_the_numbers_are_those_of_the_formulas():
    logits, target = [0.3, -1.2, 2.0], 1
    shown = softmax_demo(logits, target)
    total = math.fsum(map(math.exp, logits))
    p = [math.exp(logit) / total for logit in logits]
    assert shown.p.tolist() == pytest.approx(p)
    assert shown.loss == pytest.approx(-math.log(p[target]))
    expected = [value - (n == target) for n, value in enumerate(p)]
    assert shown.gradient.tolist() == pytest.approx(expected)
    assert shown.by_parts.tolist() == pytest.approx(expected)


def test_the_gradient_is_the_difference_of_losses_and_so_is_the_slope_of_the_curve():
    logits, h = np.array([0.3, -1.2, 2.0, 0.7]), 1e-6
    shown = softmax_demo(logits.tolist(), 2)
    for n, gradient in enumerate(shown.gradient):
        up, down = (softmax_demo((logits + by * np.eye(4)[n]).tolist(), 2).loss for by in (h, -h))
        assert gradient == pytest.approx((up - down) / (2 * h), abs=1e-8)
    np.testing.assert_allclose(np.gradient(shown.losses, shown.sweep)[1:-1], shown.slopes[1:-1],
                               atol=1e-4)


def test_a_step_against_the_gradient_lowers_the_loss():
    shown = softmax_demo()
    assert shown.after < shown.loss
    assert f"brings the loss to {shown.after:.4f}" in softmax_text(shown)


@pytest.mark.parametrize("settings, says", [
    ({"logits": [1.0]}, "at least two"), ({"logits": [1.0, math.inf]}, "logits"),
    ({"logits": [1.0, -1e7]}, "within 1e"), ({"target": 5}, "target=5"), ({"target": -1}, "target"),
])
def test_a_wrong_setting_is_named(settings, says):
    with pytest.raises(ValueError, match=says):
        softmax_demo(**settings)


@pytest.mark.parametrize("logits", [[0.0, 0.0], [1e6, -1e6], [900.0, 0.0, -900.0],
                                    [float(n) for n in range(40)]])
@pytest.mark.parametrize("target", [0, 1])
def test_any_logits_fit_80_columns_and_can_be_drawn(logits, target, tmp_path):
    shown = softmax_demo(logits, target)
    assert max(map(len, softmax_text(shown).splitlines())) <= 80
    if target:
        return
    pytest.importorskip("matplotlib")
    from npgpt.display.drawing import save

    save(softmax_picture(shown), tmp_path / "s.svg")
