"""The activations against Python's own math, element by element."""

import math

import numpy as np
import pytest

from npgpt.demos.gelu import gelu_demo, gelu_text


@pytest.fixture(scope="module")
def shown():
    return gelu_demo()


REFERENCES = {
    "gelu exact": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "gelu tanh": lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "relu": lambda x: max(x, 0.0),
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", REFERENCES)
def test_values_are_those_of_the_formulas(shown, name):
    expected = [REFERENCES[name](x) for x in shown.x.tolist()]
    np.testing.assert_allclose(shown.values[name], expected, rtol=1e-13, atol=1e-15)


@pytest.mark.smoke
@pytest.mark.parametrize("name", REFERENCES)
def test_slopes_are_the_differences_of_the_values(shown, name):
    h = 1e-5
    # ReLU has no derivative at 0
    x, slopes = shown.x[::7], shown.slopes[name][::7]
    away = np.abs(x) > 2 * h
    expected = [(REFERENCES[name](v + h) - REFERENCES[name](v - h)) / (2 * h) for v in x.tolist()]
    np.testing.assert_allclose(slopes[away], np.array(expected)[away], rtol=1e-8, atol=1e-9)


@pytest.mark.smoke
def test_the_two_gelus_differ_most_near_2_7(shown):
    gaps = [abs(REFERENCES["gelu tanh"](x) - REFERENCES["gelu exact"](x)) for x in shown.x.tolist()]
    np.testing.assert_allclose(np.abs(shown.gap), gaps, rtol=1e-9, atol=1e-15)
    assert np.abs(shown.gap).max() == pytest.approx(4.73e-4, abs=1e-6)
    assert abs(shown.x[np.abs(shown.gap).argmax()]) == pytest.approx(2.70, abs=0.01)


def test_the_dip_of_gelu_below_0_is_seen_in_the_chart(shown):
    lines = gelu_text(shown).splitlines()
    zero = next(n for n, line in enumerate(lines) if line.startswith("      0 |"))
    # from x = -2 to -0.2 or so, of 30 columns for 8
    assert lines[zero + 1][9:39].count("g") >= 5


def test_the_text_shows_the_gap(shown):
    assert "largest gap 4.73e-04, at |x| = 2.70" in gelu_text(shown)


@pytest.mark.parametrize("settings", [{"low": 1.0, "high": 1.0}, {"points": 1}])
def test_an_empty_range_is_rejected(settings):
    with pytest.raises(ValueError, match="points="):
        gelu_demo(**settings)
