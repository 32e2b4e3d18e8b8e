"""Right gradients at awkward points: (name, f, gradients(dout, *arrays), arrays)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Point = tuple[str, Callable[..., Any], Callable[..., Sequence[Any]], tuple[Any, ...]]


def _each(name: str, f: Any, slope: Any, *x: float) -> Point:
    """An elementwise function."""
    return name, f, lambda dout, x: [dout * slope(x)], (np.array(x),)


def _loss(name: str, f: Any, grad: Any, x: Any) -> Point:
    return name, f, lambda dout, x: [dout * np.asarray(grad(x))], (np.asarray(x, float),)


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _softmax_gradient(dout: Any, x: Any) -> list[Any]:
    p = _softmax(x)
    return [p * (dout - (dout * p).sum(-1, keepdims=True))]


def _normalised(x: Any) -> Any:
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)


def _normalised_gradient(dout: Any, x: Any) -> list[Any]:
    c = x - x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)
    y = c * rstd
    return [rstd * (dout - dout.mean(-1, keepdims=True) - y * (dout * y).mean(-1, keepdims=True))]


def _cross_entropy(x: Any) -> Any:
    return -np.log(_softmax(x)[:, 0]).mean()


def _cross_entropy_gradient(x: Any) -> Any:
    return (_softmax(x) - np.eye(x.shape[1])[0]) / len(x)


def _entropy(x: Any) -> Any:
    p = _softmax(x)[np.isfinite(x)]
    return -(p * np.log(p)).sum()


def _entropy_gradient(x: Any) -> Any:
    p = _softmax(x)
    log = np.log(np.where(p > 0, p, 1.0))
    return -p * (log - (p * log).sum())


_RNG = np.random.default_rng(0)
_A, _X = _RNG.standard_normal((4, 6)), _RNG.standard_normal((3, 8))
_INF = np.inf

POINTS: list[Point] = [
    *(_loss(f"the sum of a LayerNorm, seed {s}", lambda x: _normalised(x).sum(), np.zeros_like,
            np.random.default_rng(s).standard_normal((3, 8))) for s in range(3)),
    _loss("the sum of a softmax", lambda x: _softmax(x).sum(), np.zeros_like, _X),
    _loss("least squares at its minimum", lambda w: ((_A @ w - _A.sum(1)) ** 2).mean(),
          lambda w: _A.T @ (_A @ w - _A.sum(1)) / 2, np.ones(6)),
    _loss("a square at 0", lambda x: (x * x).sum(), lambda x: 2 * x, np.zeros(3)),
    ("LayerNorm of equal numbers", _normalised, _normalised_gradient, (np.full((2, 4), 3.0),)),
    ("LayerNorm of tiny numbers", _normalised, _normalised_gradient, (1e-3 * _X,)),
    ("LayerNorm of large numbers", _normalised, _normalised_gradient, (1e3 + _X,)),
    ("softmax with a mask", _softmax, _softmax_gradient, (np.array([[0.0, 1.0, -_INF]]),)),
    ("softmax with one left", _softmax, _softmax_gradient, (np.array([[1.0, -_INF, -_INF]]),)),
    ("softmax, saturated", _softmax, _softmax_gradient, (np.array([[0.0, 40.0, -3.0]]),)),
    ("softmax of equal scores", _softmax, _softmax_gradient, (np.zeros((2, 5)),)),
    _loss("entropy with a mask", _entropy, _entropy_gradient, [0.0, 0.3, -_INF]),
    _loss("entropy at its maximum", _entropy, _entropy_gradient, np.zeros(4)),
    _loss("cross-entropy", _cross_entropy, _cross_entropy_gradient, _X),
    _loss("cross-entropy with a mask", _cross_entropy, _cross_entropy_gradient,
          [[0.0, 1.0, -_INF], [0.5, -1.0, 2.0]]),
    _loss("cross-entropy, nearly learnt", _cross_entropy, _cross_entropy_gradient, [[9.0, 0, -1]]),
    _each("log at 1e-7", np.log, lambda x: 1 / x, 1e-7, 0.2, 0.5),
    _each("square root at 1e-7", np.sqrt, lambda x: 0.5 / np.sqrt(x), 1e-7, 0.3),
    _each("1 / x at 1e-7", lambda x: 1 / x, lambda x: -1 / x**2, 1e-7, 0.3),
    _each("arc sine beside 1", np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), 1 - 1e-7, 0.3),
    _each("sine at a million", np.sin, np.cos, 1e6, 1.0, -3e5),
    _each("a fast wave", lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x), 0.3, 0.4),
    _each("squares of 1e150", np.square, lambda x: 2 * x, 1e150, -1e150),
    _each("squares of thousands", np.square, lambda x: 2 * x, 3e3, -5e3, 0.1),
    _each("a tiny output", lambda x: 1e-20 * x * x, lambda x: 2e-20 * x, 1.0, -0.5),
    _each("tanh, saturated", np.tanh, lambda x: 1 / np.cosh(x) ** 2, 18.0, -19.0, 0.1),
    _each("sigmoid, saturated", lambda x: 1 / (1 + np.exp(-x)),
          lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, 30.0, -30.0, 0.1),
    _each("exp at 30", np.exp, np.exp, 30.0, -30.0),
    _each("ReLU at 0, slope 0", lambda x: np.maximum(x, 0), lambda x: x > 0, 0.0, 1.0, -1.0, 1e-6),
    _each("ReLU at 0, slope 1", lambda x: np.maximum(x, 0), lambda x: x >= 0, 0.0, 1.0, -1.0),
    _each("absolute value at 0", np.abs, np.sign, 0.0, 1.0, -2.0, 1e-7),
    _each("hinge at its corner", lambda x: np.maximum(1 - x, 0), lambda x: -1.0 * (x < 1),
          1.0, 0.3, 2.0),
    _each("clip at its bounds", lambda x: np.minimum(np.maximum(x, -1), 1),
          lambda x: 1.0 * (np.abs(x) < 1), 1.0, -1.0, 0.3),
    _each("square root of |x|, away from 0", lambda x: np.sqrt(np.abs(x)),
          lambda x: np.sign(x) / (2 * np.sqrt(np.abs(x))), 1e-3, -0.4),
    _each("cube at 0", lambda x: x**3, lambda x: 3 * x**2, 0.0, 1e-4, -2.0),
    _each("in float32", lambda x: np.tanh(np.asarray(x, np.float32)),
          lambda x: 1 - np.tanh(x) ** 2, 0.5, -1.0, 2.0),
    _loss("a maximum with a tie", lambda x: np.maximum(x[0], x[1]) + x.sum(), lambda x: [2, 1, 1],
          [1.0, 1.0, 0.3]),
    _loss("the norm of small numbers", lambda x: np.sqrt((x * x).sum()),
          lambda x: x / np.sqrt((x * x).sum()), [1e-8, -2e-8, 3e-8]),
]
