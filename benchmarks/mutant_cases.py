"""The layers that are mutated, each with inputs at its test size; two seeds of a case differ in
shape."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Builder = Callable[[np.random.Generator, "Sizes"], tuple[tuple[Any, ...], dict[str, Any]]]


@dataclass(frozen=True)
class Sizes:
    """Batch, text, heads, head size, channels, vocabulary, feed-forward width of one set of
    inputs."""

    B: int = 2
    T: int = 3
    H: int = 2
    D: int = 4
    C: int = 8
    V: int = 7
    F: int = 5

    @staticmethod
    def random(rng: np.random.Generator) -> Sizes:
        """Any sizes from 1 up, also equal ones; only the vocabulary is at least as long as the
        text."""
        b, t, h, d, c, f = (int(n) for n in rng.integers(1, 6, 6))
        return Sizes(b, t, h, d, c, t + int(rng.integers(1, 4)), f)


@dataclass(frozen=True)
class Case:
    """A pair in `npgpt.layers.<module>`: its stem in `<stem>_forward`, and how its inputs are
    made.

    Of a case that is `more` only the kinds of faults are taken that few layers can have.
    """

    name: str
    module: str
    stem: str
    build: Builder
    more: bool = False

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """(forward, backward), as the package has them."""
        module = importlib.import_module(f"npgpt.layers.{self.module}")
        return getattr(module, f"{self.stem}_forward"), getattr(module, f"{self.stem}_backward")

    def inputs(self, seed: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(arrays, settings) at the layer's test sizes."""
        return self.build(np.random.default_rng(seed), Sizes())

    def random_inputs(self, seed: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(arrays, settings) of random sizes; the floats at a random scale from 0.03 to 30."""
        rng = np.random.default_rng(seed)
        arrays, settings = self.build(rng, Sizes.random(rng))
        scale = 10 ** rng.uniform(-1.5, 1.5)
        return tuple(a * scale if a.dtype.kind == "f" else a for a in arrays), settings


def _n(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape)


def _x(rng: np.random.Generator, s: Sizes) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (_n(rng, s.B, s.T, s.C),), {}


def _ids(rng: np.random.Generator, s: Sizes) -> Any:
    ids = rng.integers(0, s.V - 1, (s.B, s.T))
    ids.reshape(-1)[-1] = ids.reshape(-1)[0]  # one id comes twice
    return ids


def _targets(rng: np.random.Generator, s: Sizes) -> Any:
    targets = rng.integers(0, s.V, (s.B, s.T))
    targets[-1, 0] = -100  # one position is not counted
    return targets


def _dropped(rng: np.random.Generator, rate: float = 0.4) -> dict[str, Any]:
    return {"rate": rate, "rng": np.random.default_rng(int(rng.integers(1000)))}


CASES = [
    Case("softmax", "softmax", "softmax", _x),
    Case("gelu", "gelu", "gelu", _x),
    Case("gelu_exact", "gelu", "gelu_exact", _x),
    Case("relu", "relu", "relu", _x),
    Case("leaky_relu", "relu", "leaky_relu", lambda r, s: ((_n(r, s.B, s.T, s.C), _n(r, 1)), {})),
    Case("silu", "silu", "silu", _x),
    Case(
        "layernorm",
        "layernorm",
        "layernorm",
        lambda r, s: ((_n(r, s.B, s.T, s.C), _n(r, s.C), _n(r, s.C)), {"eps": 1e-5}),
    ),
    Case(
        "linear",
        "linear",
        "linear",
        lambda r, s: ((_n(r, s.B, s.T, s.C), _n(r, s.C, s.F), _n(r, s.F)), {}),
    ),
    Case(
        "linear_square",
        "linear",
        "linear",
        lambda r, s: ((_n(r, s.B, s.T, s.D), _n(r, s.D, s.D), _n(r, s.D)), {}),
    ),
    Case(
        "residual",
        "residual",
        "residual",
        lambda r, s: ((_n(r, s.B, s.T, s.C), _n(r, s.B, s.T, s.C)), {}),
    ),
    Case("dropout", "dropout", "dropout", lambda r, s: ((_n(r, s.B, s.T, s.C),), _dropped(r))),
    Case(
        "token_embedding",
        "embedding",
        "token_embedding",
        lambda r, s: ((_ids(r, s), _n(r, s.V, s.C)), {}),
    ),
    Case(
        "position_embedding",
        "embedding",
        "position_embedding",
        lambda r, s: ((_n(r, s.B, s.T, s.C), _n(r, s.V, s.C), np.arange(s.T)), {}),
    ),
    Case(
        "unembedding",
        "embedding",
        "unembedding",
        lambda r, s: ((_n(r, s.B, s.T, s.C), _n(r, s.V, s.C)), {}),
    ),
    Case(
        "causal_attention",
        "attention",
        "causal_attention",
        lambda r, s: (
            (_n(r, s.B, s.H, s.T, s.D), _n(r, s.B, s.H, s.T, s.D), _n(r, s.B, s.H, s.T, s.D)),
            {},
        ),
    ),
    Case(
        "causal_attention_dropped",
        "attention",
        "causal_attention",
        lambda r, s: (
            (_n(r, s.B, s.T, s.T), _n(r, s.B, s.T, s.T), _n(r, s.B, s.T, s.T)),
            _dropped(r),
        ),
    ),
    Case(
        "multi_head_attention",
        "attention",
        "multi_head_attention",
        lambda r, s: ((_n(r, s.B, s.T, 3 * s.H * s.D),), {"n_head": s.H}),
    ),
    Case(
        "cross_entropy",
        "cross_entropy",
        "cross_entropy",
        lambda r, s: ((_n(r, s.B, s.T, s.V), _targets(r, s)), {}),
    ),
    Case(
        "linear_cross_entropy",
        "cross_entropy",
        "linear_cross_entropy",
        lambda r, s: ((_n(r, s.B, s.T, s.C), _n(r, s.V, s.C), _targets(r, s)), {}),
    ),
    Case(
        "feed_forward",
        "feed_forward",
        "feed_forward",
        lambda r, s: (
            (_n(r, s.B, s.T, s.D), _n(r, s.D, s.F), _n(r, s.F), _n(r, s.F, s.D), _n(r, s.D)),
            {},
        ),
    ),
    Case(
        "swiglu",
        "feed_forward",
        "swiglu",
        lambda r, s: (
            (
                _n(r, s.B, s.T, s.D),
                _n(r, s.D, s.F),
                _n(r, s.F),
                _n(r, s.D, s.F),
                _n(r, s.F),
                _n(r, s.F, s.D),
                _n(r, s.D),
            ),
            {},
        ),
    ),
]

# the same layers on inputs of other shapes and settings
CASES += [
    Case(f"dropout_{name}", "dropout", "dropout", build, more=True)
    for name, build in [
        ("rows", lambda r, s: ((_n(r, s.F, s.C),), _dropped(r))),
        ("vector", lambda r, s: ((_n(r, s.T * s.C),), _dropped(r, 0.3))),
        ("heads", lambda r, s: ((_n(r, s.B, s.H, s.T, s.D),), _dropped(r, 0.25))),
        ("half", lambda r, s: ((_n(r, s.B, s.T, s.D),), _dropped(r, 0.5))),
        ("light", lambda r, s: ((_n(r, s.B, s.F, s.C),), _dropped(r, 0.2))),
        ("heavy", lambda r, s: ((_n(r, s.B, s.T, s.C),), _dropped(r, 0.6))),
        ("square", lambda r, s: ((_n(r, s.F, s.F),), _dropped(r, 0.35))),
        ("deep", lambda r, s: ((_n(r, 1, s.B, s.T, s.C),), _dropped(r, 0.45))),
        ("narrow", lambda r, s: ((_n(r, s.C, s.B),), _dropped(r, 0.3))),
    ]
] + [
    Case("relu_rows", "relu", "relu", lambda r, s: ((_n(r, s.F, s.C),), {}), more=True),
    Case(
        "multi_head_attention_dropped",
        "attention",
        "multi_head_attention",
        lambda r, s: ((_n(r, s.B, s.T, 3 * s.H * s.D),), {"n_head": s.H, **_dropped(r)}),
        more=True,
    ),
    Case(
        "causal_attention_long",
        "attention",
        "causal_attention",
        lambda r, s: (tuple(_n(r, s.B, s.H, s.F, s.D) for _ in range(3)), {}),
        more=True,
    ),
    Case(
        "layernorm_rows",
        "layernorm",
        "layernorm",
        lambda r, s: ((_n(r, s.F, s.C), _n(r, s.C), _n(r, s.C)), {"eps": 1e-5}),
        more=True,
    ),
    Case(
        "layernorm_heads",
        "layernorm",
        "layernorm",
        lambda r, s: ((_n(r, s.B, s.H, s.T, s.D), _n(r, s.D), _n(r, s.D)), {"eps": 1e-3}),
        more=True,
    ),
    Case(
        "linear_rows",
        "linear",
        "linear",
        lambda r, s: ((_n(r, s.F, s.C), _n(r, s.C, s.T), _n(r, s.T)), {}),
        more=True,
    ),
    Case(
        "token_embedding_row",
        "embedding",
        "token_embedding",
        lambda r, s: ((_ids(r, s)[0], _n(r, s.V, s.D)), {}),
        more=True,
    ),
    Case(
        "token_embedding_narrow",
        "embedding",
        "token_embedding",
        lambda r, s: ((_ids(r, s), _n(r, s.V, s.D)), {}),
        more=True,
    ),
    Case(
        "token_embedding_deep",
        "embedding",
        "token_embedding",
        lambda r, s: ((_ids(r, s)[None], _n(r, s.V, s.H)), {}),
        more=True,
    ),
    Case(
        "cross_entropy_rows",
        "cross_entropy",
        "cross_entropy",
        lambda r, s: ((_n(r, s.F, s.V), r.integers(0, s.V, s.F)), {}),
        more=True,
    ),
    Case(
        "softmax_rows", "softmax", "softmax", lambda r, s: ((_n(r, s.F, s.C),), {}), more=True
    ),
]
