"""Causal attention: every position takes a weighted mean of the values at and before itself.

Forward    scores  = q @ k.T / sqrt(D)          -inf where the key lies in the query's future
           weights = softmax(scores)
           dropped = dropout(weights)
           out     = dropped @ v
Backward   dv       = dropped.T @ dout
           ddropped = dout @ v.T
           dweights = dropout_backward(ddropped)
           dscores  = softmax_backward(dweights)       0 where masked, since weights are 0 there
           dq = dscores @ k / sqrt(D)
           dk = dscores.T @ q / sqrt(D)

With fewer queries than keys (S > T) the queries are the last T of the S positions: that is how a
cache of earlier keys and values is used. The gradient of a constant added to every key is zero in
exact arithmetic, since it shifts all scores of a row alike: so is that of GPT-2's key bias.

Multi-head attention cuts the channels of q, k and v into H heads of D = C / H, lets each attend
by itself, and lays the results side by side again.

Shapes     q, out (..., T, D)    k, v (..., S, D)    scores, weights (..., T, S)    T <= S
           qkv (B, T, 3C): q, k, v side by side, as GPT-2 stores them
Saved for backward   q, k, v; weights, the dropout mask and the weights after it: three
           arrays of T x S, which is what makes this the textbook
Source     Vaswani et al. 2017, arXiv 1706.03762, eq. 1; Radford et al. 2019
"""

from __future__ import annotations

import math

import numpy as np

from .contract import Array, Cache, UniformSource, check_shapes
from .dropout import dropout_backward, dropout_forward
from .softmax import softmax_backward, softmax_forward


def check_attention(q: Array, k: Array, v: Array) -> None:
    """Raise ValueError unless the axes agree and there are at least as many keys as queries."""
    check_shapes(min(q.ndim, k.ndim, v.ndim) > 1 and q.shape[-1] == k.shape[-1] and
                 k.shape[-2] == v.shape[-2] and q.shape[:-2] == k.shape[:-2] == v.shape[:-2],
                 "causal attention expects q (..., T, D), k (..., S, D) and v (..., S, any), "
                 "alike before that",
                 q=q, k=k, v=v)
    t, s = q.shape[-2], k.shape[-2]
    if t > s:
        raise ValueError(
            f"causal attention expects at least as many keys as queries; got {t} queries, {s} keys"
        )


def causal_attention_forward(
    q: Array, k: Array, v: Array, *, rate: float = 0.0, rng: UniformSource | None = None
) -> tuple[Array, Cache]:
    """Attend from q (..., T, D) to k, v (..., S, D): (..., T, D); `rate` is dropout on the weights.

    Raises ValueError as `check_attention`, and for dropout without an rng or with a wrong rate.
    """
    check_attention(q, k, v)
    t, s = q.shape[-2], k.shape[-2]
    scale = 1.0 / math.sqrt(q.shape[-1])
    scores = (q @ k.swapaxes(-1, -2)) * scale                   # (..., T, S)
    visible = np.tri(t, s, s - t, dtype=bool)                   # (T, S)
    scores = np.where(visible, scores, -np.inf)
    weights, softmax_cache = softmax_forward(scores)            # (..., T, S)
    dropped, dropout_cache = dropout_forward(weights, rate=rate, rng=rng)
    out = dropped @ v                                           # (..., T, D)
    return out, (q, k, v, dropped, softmax_cache, dropout_cache)


def causal_attention_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Give (dq, dk, dv): dq (..., T, D), dk and dv (..., S, D)."""
    q, k, v, dropped, softmax_cache, dropout_cache = cache
    scale = 1.0 / math.sqrt(q.shape[-1])
    dv = dropped.swapaxes(-1, -2) @ dout                        # (..., S, D)
    ddropped = dout @ v.swapaxes(-1, -2)                        # (..., T, S)
    (dweights,) = dropout_backward(ddropped, dropout_cache)     # (..., T, S)
    (dscores,) = softmax_backward(dweights, softmax_cache)      # (..., T, S)
    dq = (dscores @ k) * scale                                  # (..., T, D)
    dk = (dscores.swapaxes(-1, -2) @ q) * scale                 # (..., S, D)
    return dq, dk, dv


def split_heads(x: Array, n_head: int) -> Array:
    """(B, T, C) -> (B, H, T, D), a view: a head is a run of D = C / H neighbouring channels.

    Raises ValueError unless n_head divides C.
    """
    b, t, c = x.shape
    if c % n_head:
        raise ValueError(f"n_head={n_head} does not divide the {c} channels")
    return x.reshape(b, t, n_head, c // n_head).swapaxes(1, 2)


def merge_heads(x: Array) -> Array:
    """(B, H, T, D) -> (B, T, C): the inverse of split_heads."""
    b, h, t, d = x.shape
    # the axes go back first: a bare reshape would mix positions with heads
    return x.swapaxes(1, 2).reshape(b, t, h * d)


def split_qkv(qkv: Array) -> tuple[Array, Array, Array]:
    """(B, T, 3C) -> q, k, v, each (B, T, C), as views. Raises ValueError for another shape."""
    check_shapes(qkv.ndim == 3, "attention of several heads expects qkv (B, T, 3C)", qkv=qkv)
    c = qkv.shape[-1] // 3
    if 3 * c != qkv.shape[-1]:
        raise ValueError(f"expected 3C channels, q, k and v side by side; got {qkv.shape[-1]}, "
                         "which 3 does not divide")
    return qkv[..., :c], qkv[..., c:2 * c], qkv[..., 2 * c:]


def multi_head_attention_forward(
    qkv: Array, *, n_head: int, rate: float = 0.0, rng: UniformSource | None = None
) -> tuple[Array, Cache]:
    """Causal attention of every head over qkv (B, T, 3C); gives (B, T, C).

    Raises ValueError as `split_qkv`, `split_heads` and `causal_attention_forward`.
    """
    q, k, v = (split_heads(part, n_head) for part in split_qkv(qkv))    # (B, H, T, D) each
    heads, attention_cache = causal_attention_forward(q, k, v, rate=rate, rng=rng)
    return merge_heads(heads), (n_head, attention_cache)


def multi_head_attention_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give (dqkv,) of shape (B, T, 3C)."""
    n_head, attention_cache = cache
    dheads = split_heads(dout, n_head)                          # (B, H, T, D)
    dqkv_heads = causal_attention_backward(dheads, attention_cache)
    dqkv = np.concatenate([merge_heads(part) for part in dqkv_heads], axis=-1)
    return (dqkv,)
