"""Queries times a constant: a model whose attention scores have another scale than 1 / sqrt(D).

Forward    out = qkv, with its queries times `factor`
Backward   dqkv = dout, with its queries' gradient times `factor`

Scores are linear in the queries, so that attention itself stays as it is. GPT-2 needs none of this;
Stanford's models divide the scores of layer i by i + 1 too.

Shapes     qkv, out (B, T, 3C): q, k, v side by side    factor: a number
Saved for backward   factor
Source     scale_attn_weights and scale_attn_by_inverse_layer_idx of transformers' GPT2Config
"""

from __future__ import annotations

from .contract import Array, Cache, check_shapes


def scale_queries_forward(qkv: Array, *, factor: float) -> tuple[Array, Cache]:
    """qkv (..., 3C) with its first C channels times factor; ValueError for another shape."""
    check_shapes(qkv.ndim > 0 and qkv.shape[-1] % 3 == 0,
                 "scale_queries expects qkv (..., 3C), q, k and v side by side", qkv=qkv)
    return _scaled(qkv, factor), factor


def scale_queries_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give (dqkv,) of the shape of dout (..., 3C)."""
    factor = cache
    return (_scaled(dout, factor),)


def _scaled(qkv: Array, factor: float) -> Array:
    out = qkv.copy()
    out[..., :qkv.shape[-1] // 3] *= factor
    return out
