"""Gradients of deep networks, against a plain chain rule without the tape."""

import math

import numpy as np
import pytest

from npgpt.demos.shortcut import WITH, WITHOUT, blocks_demo, shortcut_demo, shortcut_text


def loss_of(weights, biases, x, targets, residual):
    """The network written out once more, with math.erf nowhere and no layer of ours."""
    for weight, bias in zip(weights, biases):
        z = x @ weight + bias
        activated = z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2
        x = x + activated if residual else activated
    logs = x - x.max(axis=1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(x)), targets].mean()


@pytest.mark.parametrize("residual", [False, True])
def test_the_gradients_are_those_of_the_network(residual):
    depth, channels, batch, seed = 3, 4, 2, 5
    shown = shortcut_demo((depth,), channels, batch, seed)
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-0.5, 0.5, (channels, channels)) for _ in range(depth)]
    biases = rng.uniform(-0.5, 0.5, (depth, channels))
    x, targets = rng.standard_normal((batch, channels)), rng.integers(0, channels, batch)
    found = shown[WITH if residual else WITHOUT][depth]
    for layer in range(depth):
        sizes = []
        for i in np.ndindex(channels, channels):
            moved = []
            for h in (1e-5, -1e-5):
                tried = [w.copy() for w in weights]
                tried[layer][i] += h
                moved.append(loss_of(tried, biases, x, targets, residual))
            sizes.append(abs(moved[0] - moved[1]) / 2e-5)
        assert found[layer] == pytest.approx(np.mean(sizes), rel=1e-6)


def test_without_residual_connections_early_layers_get_almost_nothing():
    shown = shortcut_demo()
    assert list(shown[WITHOUT]) == [6, 12, 24, 48]
    lost = [gradients[0] / gradients[-1] for gradients in shown[WITHOUT].values()]
    assert lost == sorted(lost, reverse=True) and lost[-1] < 1e-20
    for depth, gradients in shown[WITH].items():
        assert gradients.shape == (depth,)
        assert gradients.min() > gradients.max() / 100


def test_with_residual_connections_the_gradients_grow_with_the_depth():
    sizes = [gradients.mean() for gradients in shortcut_demo()[WITH].values()]
    assert sizes == sorted(sizes) and sizes[-1] > 1000 * sizes[0]


def test_gpt2s_blocks_keep_their_gradient_by_residual_connections():
    lost = {which: sizes[0] / sizes[-2] for which, sizes in blocks_demo().items()}
    assert 0.5 < lost[True, True] < 2 and 0.5 < lost[True, False] < 2
    assert 1e-6 < lost[False, True] < 1e-2 and 0 < lost[False, False] < 1e-40


def test_a_single_layer_is_shown_too():
    text = shortcut_text(shortcut_demo((1,)))
    assert "       1         1.4e-02   1.4e-02     1.0e+00" in text
    assert "no curve to draw" in text
    assert "logarithmic" not in text and "1 layers" not in text


@pytest.mark.parametrize("settings", [{"depths": (0,)}, {"channels": 0}, {"batch": -1}])
def test_nothing_at_all_is_rejected(settings):
    with pytest.raises(ValueError, match="at least 1"):
        shortcut_demo(**settings)
