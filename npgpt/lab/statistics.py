"""Statistics for a handful of seeds: intervals, the paired t-test, the exact sign-flip test.

Student's t assumes that differences are about normal; the sign-flip test assumes only that they are
as likely to fall on either side. With n seeds its smallest two-sided p is 2 / 2**n, so three seeds
can never give less than 0.25.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Sequence


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval; low and high are NaN for fewer than two values."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def sure_of_sign(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Paired:
    """Differences of pairs: their estimate and two p values, two-sided."""

    difference: Estimate
    t_test: float
    sign_flip: float


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1.

    Lentz's continued fraction (Abramowitz, Stegun 26.5.8), on the side where it converges quickly.
    """
    if not (a > 0 and b > 0 and 0 <= x <= 1):
        raise ValueError(f"incomplete_beta needs a, b > 0 and 0 <= x <= 1; got {a}, {b}, {x}")
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                     + a * math.log(x) + b * math.log1p(-x)) / a
    # front / (1 + d1 / (1 + d2 / (1 + ...))), by Lentz's method
    up, down, fraction = 1.0, 0.0, 1.0
    for step in range(1, 1000):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        down = 1.0 / (1.0 + term * down or 1e-300)
        up = 1.0 + term / up or 1e-300
        fraction *= up * down
        if abs(1.0 - up * down) < 1e-15:
            break
    return front / fraction


def t_two_sided(t: float, degrees: int) -> float:
    """P(|T| >= |t|) for Student's t with that many degrees of freedom."""
    if degrees < 1:
        raise ValueError(f"degrees={degrees} must be at least 1")
    if math.isinf(t):
        return 0.0
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def t_quantile(degrees: int, coverage: float = 0.95) -> float:
    """The t that |T| stays below with that probability: 12.706 for 1 degree, 4.303 for 2."""
    if not 0 < coverage < 1:
        raise ValueError(f"coverage={coverage} must lie between 0 and 1, both excluded")
    low, high = 0.0, 1.0
    while t_two_sided(high, degrees) > 1 - coverage:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if t_two_sided(middle, degrees) > 1 - coverage:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval by Student's t with n - 1 degrees of freedom; NaN values stay NaN."""
    n = len(values)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(values) / n
    if n == 1 or not math.isfinite(mean):
        return Estimate(mean, math.nan, math.nan, n)
    half = t_quantile(n - 1) * _deviation(values, mean) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def paired(first: Sequence[float], second: Sequence[float]) -> Paired:
    """first - second, pair by pair; p values are NaN for fewer than two pairs.

    Raises ValueError for lists of different length.
    """
    if len(first) != len(second):
        raise ValueError(f"pairs need lists of one length; got {len(first)} and {len(second)}")
    differences = [a - b for a, b in zip(first, second)]
    found = estimate(differences)
    n = found.n
    if n < 2 or not math.isfinite(found.mean):
        return Paired(found, math.nan, math.nan)
    error = _deviation(differences, found.mean) / math.sqrt(n)
    t = found.mean / error if error else math.copysign(math.inf, found.mean)
    p = 1.0 if found.mean == 0 else t_two_sided(t, n - 1)
    return Paired(found, p, sign_flip(differences))


def sign_flip(differences: Sequence[float]) -> float:
    """Share of the 2**n ways to sign the differences whose |sum| is at least the one seen.

    Exact up to 20 differences; ValueError beyond.
    """
    if len(differences) > 20:
        raise ValueError(f"{len(differences)} differences have too many signings; up to 20")
    seen = abs(math.fsum(differences))
    # equal sums may differ in the last digit
    enough = seen - 1e-12 * math.fsum(abs(d) for d in differences)
    ways = list(itertools.product((1, -1), repeat=len(differences)))
    extreme = sum(abs(math.fsum(s * d for s, d in zip(signs, differences))) >= enough
                  for signs in ways)
    return extreme / len(ways)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number (Holm 1979): none is smaller than it was."""
    order = sorted((p, n) for n, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, n) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        corrected[n] = highest
    return corrected


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
