from __future__ import annotations

import math

import numpy as np
import pytest

from npgpt import config
from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.feed_forward import (
    ACTIVATIONS,
    feed_forward_backward,
    feed_forward_forward,
    swiglu_backward,
    swiglu_forward,
)

pytestmark = pytest.mark.smoke

B, T, C, F = 2, 3, 4, 16


def erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf)(x)


ACTIVATED = {
    "gelu_new": lambda x: x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "identity": lambda x: x,
    "leaky_relu": lambda x: np.maximum(x, 0) + 0.3 * np.minimum(x, 0),
}


def arrays(rng: np.random.Generator, activation: str = "", maps_in: int = 1) -> list[np.ndarray]:
    given = [rng.standard_normal((B, T, C))]
    for _ in range(maps_in):
        given += [rng.standard_normal((C, F)) / 2, rng.standard_normal(F)]
    given += [rng.standard_normal((F, C)) / 4, rng.standard_normal(C)]
    return given + ([np.array([0.3])] if activation == "leaky_relu" else [])


def test_every_activation_of_the_config_has_its_functions():
    assert {*ACTIVATIONS, "swiglu"} == set(config.ACTIVATIONS)
    assert set(ACTIVATED) == set(ACTIVATIONS)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_values_agree_with_the_formula(activation, rng):
    given = arrays(rng, activation)
    out, _ = feed_forward_forward(*given, activation=activation)
    x, fc_weight, fc_bias, proj_weight, proj_bias = given[:5]
    hidden = np.einsum("btc,cf->btf", x, fc_weight) + fc_bias
    expected = np.einsum("btf,fc->btc", ACTIVATED[activation](hidden), proj_weight) + proj_bias
    np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-13)


def test_the_default_is_gpt_2s_activation(rng):
    given = arrays(rng)
    np.testing.assert_array_equal(
        feed_forward_forward(*given)[0], feed_forward_forward(*given, activation="gelu_new")[0]
    )


def test_swiglu_values_agree_with_the_formula(rng):
    x, gate_weight, gate_bias, fc_weight, fc_bias, proj_weight, proj_bias = given = arrays(
        rng, maps_in=2)
    gate = ACTIVATED["silu"](np.einsum("btc,cf->btf", x, gate_weight) + gate_bias)
    hidden = np.einsum("btc,cf->btf", x, fc_weight) + fc_bias
    expected = np.einsum("btf,fc->btc", gate * hidden, proj_weight) + proj_bias
    np.testing.assert_allclose(swiglu_forward(*given)[0], expected, rtol=1e-11, atol=1e-13)


def test_every_position_is_worked_on_by_itself(rng):
    given = arrays(rng)
    before, _ = feed_forward_forward(*given)
    given[0][:, 1] += 10.0
    after, _ = feed_forward_forward(*given)
    np.testing.assert_array_equal(before[:, [0, 2]], after[:, [0, 2]])
    assert (before[:, 1] != after[:, 1]).all()


def test_an_unknown_activation_is_named_with_those_there_are(rng):
    with pytest.raises(ValueError, match="'gelo'; expected one of gelu_new, gelu, relu"):
        feed_forward_forward(*arrays(rng), activation="gelo")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_agree_with_the_numbers(activation, rng):
    prove_gradients(
        feed_forward_forward, feed_forward_backward, *arrays(rng, activation),
        activation=activation,
    )


def test_gradients_of_swiglu_agree_with_the_numbers(rng):
    prove_gradients(swiglu_forward, swiglu_backward, *arrays(rng, maps_in=2))


def test_gradients_without_biases_agree_with_the_numbers(rng):
    def no_bias(given: list[np.ndarray]) -> list[np.ndarray | None]:
        return [None if a.ndim == 1 else a for a in given]

    prove_gradients(feed_forward_forward, feed_forward_backward, *no_bias(arrays(rng)))
    prove_gradients(swiglu_forward, swiglu_backward, *no_bias(arrays(rng, maps_in=2)))
