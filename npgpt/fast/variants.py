"""What some variants of the model add: weight normalisation, frozen biases, the entropy's penalty.

Weights, biases and a number a head are small beside activations: these are the textbook's own
functions, which take real numbers only here.

Textbook   npgpt.layers.weight_norm, npgpt.layers.pad_zeros, npgpt.layers.attention_entropy
"""

from __future__ import annotations

from ..layers import attention_entropy as _entropy
from ..layers import pad_zeros as _pad_zeros
from ..layers import weight_norm as _weight_norm
from ..layers.contract import Array, Cache
from .blocks import check_real

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
