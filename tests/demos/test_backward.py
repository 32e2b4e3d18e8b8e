"""The tape's gradients against differences of a network written out once more."""

import math

import numpy as np
import pytest

from npgpt.demos.backward import NAMES, backward_demo, backward_picture, backward_text


def loss_of(x, weight, bias, targets):
    z = x @ weight + bias
    r = x + z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2
    logs = r - np.log(np.exp(r).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(x)), targets].mean()


@pytest.mark.smoke
@pytest.mark.parametrize("seed", [3, 92])
def test_each_gradient_is_the_slope_of_the_loss(seed):
    shown = backward_demo(seed)
    drawn = [shown.values[name] for name in NAMES[:3]]
    assert shown.values["loss"] == pytest.approx(loss_of(*drawn, shown.targets))
    h = 1e-6
    for n, name in enumerate(NAMES[:3]):
        for place in np.ndindex(drawn[n].shape):
            slopes = []
            for by in (h, -h):
                moved = [array.copy() for array in drawn]
                moved[n][place] += by
                slopes.append(loss_of(*moved, shown.targets))
            assert shown.gradients[name][place] == pytest.approx(
                (slopes[0] - slopes[1]) / (2 * h), abs=1e-8)
    assert shown.numeric == pytest.approx(shown.gradients["weight"][0, 0], abs=1e-8)


def test_the_entries_stand_in_order_and_hand_on_what_adds_up():
    shown = backward_demo()
    assert [(line.op, line.inputs, line.out) for line in shown.lines] == [
        ("linear", ("x", "weight", "bias"), "h"), ("gelu", ("h",), "a"),
        ("residual", ("x", "a"), "r"), ("cross_entropy", ("r",), "loss")]
    totals = {}
    for line in shown.lines:
        for name, gradient in line.handed.items():
            totals[name] = totals.get(name, 0) + gradient
    assert set(shown.gradients) == set(NAMES) and shown.gradients["loss"] == 1
    for name, total in totals.items():
        np.testing.assert_allclose(total, shown.gradients[name], rtol=1e-12)


def test_the_text_goes_forward_then_back_and_fits_80_columns(tmp_path):
    shown = backward_demo(7)
    text = backward_text(shown)
    assert text.index("0  h = linear") < text.index("3  loss") < text.index("3  cross_entropy is")
    assert text.index("3  cross_entropy is") < text.index("0  linear is given dh")
    assert max(map(len, text.splitlines())) <= 80
    pytest.importorskip("matplotlib")
    from npgpt.display.drawing import save

    save(backward_picture(shown), tmp_path / "b.png")
