"""The words that every layer's signature uses, and how it refuses shapes that do not fit.

The textbook and the fast layers refuse the same shapes in the same words.
"""

from __future__ import annotations

from typing import Any, Protocol, Sequence

import numpy as np

Array = np.ndarray[Any, Any]
Cache = Any  # what a forward keeps for its own backward; nobody else looks inside


class UniformSource(Protocol):
    """Anything that draws uniform numbers in [0, 1): a numpy Generator, or a stand-in for one."""

    def random(self, size: Any = None) -> Any:
        """Draw an array of the given shape."""
        ...


def check_shapes(fit: bool, needed: str, **given: Array | None) -> None:
    """ValueError with what is `needed` and the shapes given, unless they fit."""
    if not fit:
        shapes = (f"{name} {'None' if a is None else a.shape}" for name, a in given.items())
        raise ValueError(f"{needed}; got {', '.join(shapes)}")


def check_linear(x: Array, weight: Array, bias: Array | None) -> None:
    """For linear: ValueError unless the shapes fit each other."""
    check_shapes(x.shape[-1:] == weight.shape[:-1] and
                 (bias is None or bias.shape == weight.shape[1:]),
                 "linear needs x (..., I), weight (I, O) and bias (O,) or None",
                 x=x, weight=weight, bias=bias)


def check_layernorm(x: Array, weight: Array, bias: Array) -> None:
    """For layernorm: ValueError unless the shapes fit each other."""
    check_shapes(x.shape[-1:] == weight.shape == bias.shape,
                 "layernorm needs x (..., C), weight (C,) and bias (C,)",
                 x=x, weight=weight, bias=bias)


def check_leaky_relu(x: Array, slope: Array) -> None:
    """For leaky_relu: ValueError unless the slope is one number."""
    check_shapes(slope.shape == (1,), "leaky_relu needs x (...) and slope (1,)", x=x, slope=slope)


def check_slopes(activation: str, slopes: Sequence[Array]) -> None:
    """For feed_forward: ValueError unless leaky_relu has one slope (1,), and the others none."""
    if len(slopes) != (activation == "leaky_relu"):
        raise ValueError(f"leaky_relu takes one slope as last array, other activations none; "
                         f"got {len(slopes)} for {activation}")
    for slope in slopes:
        check_shapes(slope.shape == (1,), "leaky_relu needs slope (1,)", slope=slope)


def check_unembedding(x: Array, weight: Array) -> None:
    """For unembedding: ValueError unless the shapes fit each other."""
    check_shapes(x.shape[-1:] == weight.shape[1:],
                 "unembedding needs x (..., C) and weight (V, C)", x=x, weight=weight)


def check_swiglu(gate_weight: Array, fc_weight: Array) -> None:
    """For swiglu: ValueError unless its two maps have one shape."""
    check_shapes(gate_weight.shape == fc_weight.shape,
                 "swiglu needs gate_weight (C, F) and fc_weight (C, F)",
                 gate_weight=gate_weight, fc_weight=fc_weight)


def check_qkv(qkv: Array) -> None:
    """For attention of several heads: ValueError unless it has three axes."""
    check_shapes(qkv.ndim == 3, "attention of several heads needs qkv (B, T, 3C)", qkv=qkv)


def check_attention(q: Array, k: Array, v: Array) -> None:
    """For causal_attention: ValueError unless axes fit and there are as many keys as queries."""
    check_shapes(min(q.ndim, k.ndim, v.ndim) > 1 and q.shape[-1] == k.shape[-1] and
                 k.shape[-2] == v.shape[-2] and q.shape[:-2] == k.shape[:-2] == v.shape[:-2],
                 "causal attention needs q (..., T, D), k (..., S, D) and v (..., S, any), "
                 "alike before that",
                 q=q, k=k, v=v)
    t, s = q.shape[-2], k.shape[-2]
    if t > s:
        raise ValueError(
            f"causal attention needs at least as many keys as queries; got {t} queries, {s} keys"
        )
