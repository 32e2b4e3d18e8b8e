"""The entropy of attention, head by head, and the penalty for heads far from their target.

Entropy    weights = softmax(scores)                as in attention, without dropout
           row     = -sum_j weights_j * ln(weights_j)
           out     = mean of row over the batch and the positions, one number a head
Backward   dscores = -drow * weights * (ln(weights) + row)      drow = dout / (B T)
           dq = dscores @ k / sqrt(D)        dk = dscores.T @ q / sqrt(D)        dv = 0
           the second term is the path through softmax's denominator

Penalty    distance = entropy - target * bound
           out      = weight * sum over heads of distance^2 where |distance| > tolerance * bound
Backward   ddistance = 2 * weight * distance where it counts, else 0
           dentropy  = ddistance        dtarget = -bound * ddistance

A weight of 0 adds 0 to the entropy; NaN stays NaN. The bound is the greatest entropy that causal
attention can have: position i is at most uniform over its i keys, which gives ln(T!) / T on
average. The source takes ln T, which only the last position could reach. It averages over heads
and layers: whoever calls divides `weight` by their number.

Shapes     qkv (B, T, 3C)    out of the entropy (H,)    entropy, target (H,)    the penalty ()
Saved for backward   entropy: q, k, the weights and their logarithms. Penalty: ddistance / dout
Source     Jha, Reagen 2025, arXiv 2501.03489
"""

from __future__ import annotations

import math

import numpy as np

from .attention import merge_heads, split_heads, split_qkv
from .contract import Array, Cache, check_shapes


def causal_bound(length: int) -> float:
    """The greatest mean entropy of causal attention over `length` positions: ln(T!) / T, nats."""
    return math.lgamma(length + 1) / max(1, length)


def attention_entropy_forward(qkv: Array, *, n_head: int) -> tuple[Array, Cache]:
    """Mean entropy in nats of every head's causal attention over qkv (B, T, 3C): (H,).

    Raises ValueError as `split_qkv` and `split_heads`.
    """
    q, k, _ = (split_heads(part, n_head) for part in split_qkv(qkv))    # (B, H, T, D) each
    b, _, t, d = q.shape
    scale = 1.0 / math.sqrt(d)
    visible = np.tri(t, dtype=bool)                             # (T, T)
    scores = np.where(visible, (q @ k.swapaxes(-1, -2)) * scale, -np.inf)
    # the row maximum: exp of a large score overflows; without keys there is none
    shifted = scores - scores.real.max(axis=-1, keepdims=True, initial=-np.inf)
    exps = np.exp(shifted)                                      # (B, H, T, T)
    sums = exps.sum(axis=-1, keepdims=True)                     # (B, H, T, 1)
    weights = exps / sums
    # ln(weights) without the logarithm of a 0: where the key lies ahead it is never used
    logs = np.where(visible, shifted, 0) - np.log(sums)         # (B, H, T, T)
    row = -(weights * logs).sum(axis=-1, keepdims=True)         # (B, H, T, 1)
    out = row.sum(axis=(0, 2, 3)) / max(1, b * t)               # (H,)
    return out, (q, k, weights, logs, row)


def attention_entropy_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give (dqkv,) of shape (B, T, 3C); the values' third is 0."""
    q, k, weights, logs, row = cache
    b, _, t, d = q.shape
    scale = 1.0 / math.sqrt(d)
    drow = dout[:, None, None] / max(1, b * t)                  # (H, 1, 1)
    dscores = -drow * weights * (logs + row)                    # (B, H, T, T)
    dq = (dscores @ k) * scale                                  # (B, H, T, D)
    dk = (dscores.swapaxes(-1, -2) @ q) * scale
    parts = [merge_heads(part) for part in (dq, dk, np.zeros_like(dq))]
    return (np.concatenate(parts, axis=-1),)


def entropy_penalty_forward(
    entropy: Array, target: Array, *, weight: float, tolerance: float, bound: float
) -> tuple[Array, Cache]:
    """What heads of this entropy (H,) cost, whose target is a fraction (H,) of the bound: ().

    `bound` is in nats, `tolerance` a fraction of it. Raises ValueError for other shapes.
    """
    check_shapes(entropy.shape == target.shape, "entropy_penalty expects entropy and target (H,)",
                 entropy=entropy, target=target)
    distance = entropy - target * bound                         # (H,)
    # squares, since a complex step forbids the modulus; NaN counts, so that it is not lost
    near = (distance * distance).real <= (tolerance * bound) ** 2
    counted = np.where(near, 0, distance)                       # (H,)
    out = weight * (counted * counted).sum()
    return np.asarray(out, distance.dtype), (2.0 * weight * counted, bound)


def entropy_penalty_backward(dout: Array, cache: Cache) -> tuple[Array, Array]:
    """Give (dentropy, dtarget), each (H,)."""
    slope, bound = cache
    dentropy = dout * slope                                     # (H,)
    dtarget = -bound * dentropy
    return dentropy, dtarget
