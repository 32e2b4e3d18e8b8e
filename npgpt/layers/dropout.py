"""Inverted dropout: zero each element with probability `rate` and scale up the rest.

Forward    out = x * mask        mask = 0 where dropped, else 1 / (1 - rate)
Backward   dx  = dout * mask     the same mask: it is drawn once, in forward
           scaling by 1 / (1 - rate) keeps the mean, so that inference needs no change

Shapes     x, out any shape
Saved for backward   mask, or None when nothing is dropped
Source     Srivastava et al. 2014, JMLR 15; the inverted form is what every framework computes
"""

from __future__ import annotations

from .contract import Array, Cache, UniformSource


def source_for(rate: float, rng: UniformSource | None) -> UniformSource:
    """The source of dropout's random numbers: rng itself.

    Raises ValueError for a rate outside [0, 1), and if there is no rng.
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"dropout expects a rate in [0, 1), where 0 drops nothing; got {rate}")
    if rng is None:
        raise ValueError(f"dropout at rate {rate} draws random numbers: pass rng=")
    return rng


def dropout_forward(
    x: Array, *, rate: float, rng: UniformSource | None = None
) -> tuple[Array, Cache]:
    """Drop each element of x with probability `rate`; rate 0 passes x through and needs no rng.

    Gives an array of x's shape. Raises ValueError as `source_for`.
    """
    if rate == 0.0:
        return x, None
    passed = source_for(rate, rng).random(x.shape) < 1.0 - rate
    mask = passed.astype(x.real.dtype) / (1.0 - rate)
    return x * mask, mask


def dropout_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx, same shape as dout."""
    mask = cache
    return (dout if mask is None else dout * mask,)
