"""GELU's exact form in float32: as exact as its polynomial, against Python's own erfc."""

from __future__ import annotations

import math

import numpy as np
import pytest

from npgpt.fast import gelu
from npgpt.fast.gelu import (
    gelu_backward,
    gelu_exact_backward,
    gelu_exact_forward,
    gelu_forward,
)
from npgpt.layers import gelu as textbook

X = np.linspace(-20, 20, 8001).astype(np.float32)
EPS = float(np.finfo(np.float32).eps)


def test_the_exact_form_in_float32_errs_by_no_more_than_its_polynomial():
    out, _ = gelu_exact_forward(X)
    exact = np.array([z * 0.5 * math.erfc(-z / math.sqrt(2)) for z in X.tolist()])
    # half of the polynomial's 1.5e-7, and the roundings of float32 near 1, times x
    assert np.all(np.abs(out - exact) <= np.abs(X) * (0.75e-7 + 1.5 * EPS))


def test_its_slope_in_float32_is_phi_and_x_times_the_density():
    _, cache = gelu_exact_forward(X)
    (dx,) = gelu_exact_backward(np.ones_like(X), cache)
    z = X.astype(float)
    phi = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in z])
    exact = phi + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    # the polynomial's error, and x times a density that is right to 1e-7
    assert np.all(np.abs(dx - exact) <= 0.75e-7 + 3 * EPS + 1e-7 * np.abs(z))


@pytest.mark.parametrize("name", ["gelu", "gelu_exact"])
def test_x_alone_is_saved_and_both_ways_are_the_textbook(name):
    forward, backward = {"gelu": (gelu_forward, gelu_backward),
                         "gelu_exact": (gelu_exact_forward, gelu_exact_backward)}[name]
    x, dout = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    out, cache = forward(x)
    assert cache is x
    wanted, wanted_cache = getattr(textbook, f"{name}_forward")(x)
    np.testing.assert_allclose(out, wanted, rtol=1e-13, atol=1e-15)
    (wanted_dx,) = getattr(textbook, f"{name}_backward")(dout, wanted_cache)
    np.testing.assert_allclose(backward(dout, cache)[0], wanted_dx, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("by_exp", [False, True])
def test_the_tanh_form_is_right_in_float32_by_tanh_and_by_exp(by_exp, monkeypatch):
    monkeypatch.setattr(gelu, "_BY_EXP", by_exp)
    x = np.concatenate([X, np.float32([-1e4, 1e4, np.inf])])
    wanted, cache = textbook.gelu_forward(x[:-1].astype(float))
    out = gelu_forward(x)[0]
    np.testing.assert_allclose(out[:-1], wanted, rtol=1e-6, atol=2e-7)
    assert out[-1] == np.inf
    dout = np.random.default_rng(0).standard_normal(len(X))
    (wanted_dx,) = textbook.gelu_backward(dout, textbook.gelu_forward(X.astype(float))[1])
    (dx,) = gelu_backward(dout.astype(np.float32), X)
    np.testing.assert_allclose(dx, wanted_dx, rtol=2e-6, atol=5e-6)


@pytest.mark.parametrize(("current", "by_exp"), [
    ("X86_V4", False), ("AVX512_SKX", False), ("X86_V3", True), ("FMA3__AVX2", True),
    ("baseline(X86_V2)", False), ("NEON", False), (None, False)])
def test_exp_computes_it_where_numpy_has_avx2_at_most(current, by_exp, monkeypatch):
    introspect = pytest.importorskip("numpy.lib.introspect")
    found = {"tanh": {"ff": {"current": current}}} if current else {}
    monkeypatch.setattr(introspect, "opt_func_info", lambda **asked: found)
    assert gelu.exp_is_quicker() is by_exp
