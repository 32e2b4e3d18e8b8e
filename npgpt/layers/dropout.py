"""Inverted dropout: zero a random share of the numbers and scale up the rest.

Forward    out = x * mask        mask = 1 / (1 - rate) where kept, 0 where dropped
Backward   dx  = dout * mask     the same mask: it is drawn once, in forward
           scaling by 1 / (1 - rate) keeps the mean, so that inference needs no change

Shapes     x, out any shape
Kept       mask, or None when nothing is dropped
Source     Srivastava et al. 2014, JMLR 15; the inverted form is what every framework computes
"""

from __future__ import annotations

from .contract import Array, Cache, UniformSource


def dropout_mask(
    shape: tuple[int, ...], like: Array, rate: float, rng: UniformSource | None
) -> Array:
    """Draw the mask: 1 / (1 - rate) where a uniform number is below 1 - rate, else 0."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"dropout rate {rate} is outside [0, 1); 0 drops nothing")
    if rng is None:
        raise ValueError(f"dropout at rate {rate} draws random numbers: pass rng=")
    kept = rng.random(shape) < 1.0 - rate
    mask: Array = kept.astype(like.real.dtype)
    mask /= 1.0 - rate
    return mask


def dropout_forward(
    x: Array, *, rate: float, rng: UniformSource | None = None
) -> tuple[Array, Cache]:
    """Drop each number of x with probability `rate`; rate 0 passes x through and needs no rng."""
    if rate == 0.0:
        return x, None
    mask = dropout_mask(x.shape, x, rate, rng)
    return x * mask, mask


def dropout_backward(dout: Array, cache: Cache) -> tuple[Array]:
    """Give dx, same shape as dout."""
    mask = cache
    return (dout if mask is None else dout * mask,)
