"""What some variants of the model add: weight normalisation, frozen biases, attention's entropy.

Weights and biases are small beside activations: theirs are the textbook's own functions, which
take real numbers only here. The entropy is computed one text at a time, and its weights again in
backward, so that no array (B, H, T, T) is kept; nothing depends on the number of threads.

Textbook   npgpt.layers.weight_norm, npgpt.layers.pad_zeros, npgpt.layers.attention_entropy
"""

from __future__ import annotations

import math

import numpy as np

from ..layers import attention_entropy as _entropy
from ..layers import pad_zeros as _pad_zeros
from ..layers import weight_norm as _weight_norm
from ..layers.contract import Array, Cache, check_qkv
from .blocks import check_real
from .threads import ELEMENTS, each

weight_norm_backward = _weight_norm.weight_norm_backward
pad_zeros_backward = _pad_zeros.pad_zeros_backward
entropy_penalty_backward = _entropy.entropy_penalty_backward


def weight_norm_forward(v: Array, gain: Array) -> tuple[Array, Cache]:
    """gain (O,) times the columns of v (I, O), each brought to length 1."""
    check_real(v, gain)
    return _weight_norm.weight_norm_forward(v, gain)


def pad_zeros_forward(x: Array, *, size: int) -> tuple[Array, Cache]:
    """x (N,) and size - N zeros behind it, (size,)."""
    check_real(x)
    return _pad_zeros.pad_zeros_forward(x, size=size)


def entropy_penalty_forward(
    entropy: Array, target: Array, *, weight: float, tolerance: float, bound: float
) -> tuple[Array, Cache]:
    """What heads of this entropy (H,) cost; see layers/attention_entropy.py."""
    check_real(entropy, target)
    return _entropy.entropy_penalty_forward(
        entropy, target, weight=weight, tolerance=tolerance, bound=bound
    )


def attention_entropy_forward(qkv: Array, *, n_head: int) -> tuple[Array, Cache]:
    """Mean entropy in nats of every head's causal attention over qkv (B, T, 3C): (H,)."""
    check_qkv(qkv)
    check_real(qkv)
    rows = np.empty((len(qkv), n_head), qkv.dtype)

    def work(i: int) -> None:
        rows[i], _ = _entropy.attention_entropy_forward(qkv[i:i + 1], n_head=n_head)

    each(work, len(qkv), _pays(qkv, n_head))
    return rows.sum(axis=0) / max(1, len(qkv)), (qkv, n_head)


def attention_entropy_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give (dqkv,) of shape (B, T, 3C); the values' third is 0."""
    qkv, n_head = cache
    dqkv = np.empty(qkv.shape, qkv.dtype)
    share = dout / max(1, len(qkv))

    def work(i: int) -> None:
        _, kept = _entropy.attention_entropy_forward(qkv[i:i + 1], n_head=n_head)
        (dqkv[i:i + 1],) = _entropy.attention_entropy_backward(share, kept)

    each(work, len(qkv), _pays(qkv, n_head))
    return (dqkv,)


def _pays(qkv: Array, n_head: int) -> bool:
    return n_head * math.prod(qkv.shape[:2]) * qkv.shape[1] >= ELEMENTS
