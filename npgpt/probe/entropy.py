"""Attention entropy: how widely a head attends, from one position (0) to all of them equally.

    E = -1/T sum_i sum_j a_ij ln a_ij        in nats; 0 ln 0 = 0, and a NaN stays a NaN

Under a causal mask, position i sees i positions (from 1) and reaches at most ln i. So the highest
entropy of a head is not ln T but the *causal bound*

    (ln 1 + ln 2 + ... + ln T) / T = ln(T!) / T

As a fraction of the bound, models of different context compare. Heads with nearly no entropy have
*collapsed* to one position; in *entropic overload* too many heads are near the highest entropy.

Here it is measured from attention weights; layers/attention_entropy.py has the same number with a
gradient, from q and k, for training with a penalty on it.

Source     Jha, Reagen 2024, arXiv 2410.09637 (entropy, quartiles, overload); 2025, arXiv 2501.03489
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..ids import check_floats, check_integer, check_number
from ..layers.attention_entropy import causal_bound as _bound
from ..tape import Array

# below this fraction of the greatest entropy, a head attends to one position only
COLLAPSE = 0.05


class Quartiles(NamedTuple):
    """How heads are spread from 0 to the greatest entropy, as fractions of all heads, even NaN."""

    shares: tuple[float, float, float, float]
    """Of the heads in [0, 1/4), [1/4, 1/2), [1/2, 3/4) and [3/4, 1] of `largest`; with nan / heads
    they sum to 1."""
    nan: int
    """Heads whose entropy is NaN; they are in no quartile."""
    collapse: float
    """Fraction below COLLAPSE (5 %) of `largest`; those heads are in the lowest quartile too."""
    largest: float
    """The entropy that counts as 1, in nats."""

    @property
    def overload(self) -> float:
        """Fraction of heads in the highest quartile."""
        return self.shares[3]


def causal_bound(length: int) -> float:
    """The highest entropy of causal attention over `length` positions: ln(T!) / T, in nats.

    3.878 for 128 positions. Raises ValueError for a length below 1.
    """
    return _bound(check_integer("length", length, 1, 2**53))


def attention_entropy(weights: ArrayLike) -> Array:
    """Entropy in nats (...,) float64, averaged over the rows of weights (..., T, S).

    A row with a NaN makes its head's entropy NaN. Source: arXiv 2410.09637, but for the NaN.
    """
    wide = _matrices(check_floats("weights", weights))                # (..., T, S)
    # ln 1 = 0 stands in for ln 0; NaN is not 0 and goes through
    terms = np.log(np.where(wide == 0.0, 1.0, wide))
    terms *= wide
    # a head that attends to one position has 0, not -0
    entropy: Array = 0.0 - terms.sum(axis=-1).mean(axis=-1)
    return entropy


def sink_weight(weights: Array) -> Array:
    """Mean weight on the first position (...,) float64, from weights (..., T, T).

    The row of the first position itself is left out: it can attend to nothing else. NaN for T = 1.
    Uniform attention gives `uniform_sink`. Source: Xiao et al. 2023, arXiv
    2309.17453 (attention sinks).
    """
    on_first = _matrices(weights)[..., 1:, 0].astype(np.float64)       # (..., T - 1)
    if on_first.shape[-1] == 0:
        return np.full(on_first.shape[:-1], math.nan)
    sink: Array = on_first.mean(axis=-1)
    return sink


def uniform_sink(length: int) -> float:
    """`sink_weight` of uniform causal attention: the mean of 1/2, 1/3, ... 1/T."""
    if length < 2:
        return math.nan
    return sum(1.0 / n for n in range(2, length + 1)) / (length - 1)


def quartiles(entropies: ArrayLike, largest: float) -> Quartiles:
    """Spread of entropies (any shape, nats) over the quarters of `largest`.

    `largest` is `causal_bound(T)`, or the greatest entropy observed (`greatest`), as in arXiv
    2410.09637, whose tables need that to be compared with. What exceeds `largest` counts as
    highest. Raises ValueError for no entropies, or a `largest` that is not positive and finite.
    """
    values = check_floats("entropies", entropies).ravel()
    if values.size == 0:
        raise ValueError("expected the entropy of at least one head, got none")
    if not 0.0 < check_number("largest", largest) < math.inf:
        raise ValueError(f"expected a positive, finite entropy in nats, such as "
                         f"causal_bound(128); got largest={largest}")
    with np.errstate(over="ignore"):
        known = values[~np.isnan(values)] / largest
        quarter = np.clip(np.floor(4.0 * known), 0, 3)
    low, middle, high, top = (float((quarter == q).sum() / values.size) for q in range(4))
    collapse = float((known < COLLAPSE).sum() / values.size)
    return Quartiles((low, middle, high, top), values.size - known.size, collapse, float(largest))


def greatest(entropies: ArrayLike) -> float:
    """The greatest entropy that is not NaN; NaN if there is none."""
    values = np.asarray(entropies, np.float64).ravel()
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else math.nan


def _matrices(weights: Array) -> Array:
    if weights.ndim < 2 or 0 in weights.shape[-2:]:
        raise ValueError(f"expected attention weights (..., T, T), got shape {weights.shape}")
    return weights
