"""Statistics for a handful of seeds: intervals, the paired t-test, the exact sign-flip test.

Student's t assumes that differences are about normal; the sign-flip test assumes only that they are
as likely to fall on either side. With n seeds its smallest two-sided p is 2 / 2**n, so three seeds
can never give less than 0.25. All of it is SciPy's, but for Holm's correction, which it lacks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Sequence

import numpy as np

COVERAGE = 0.95
LARGEST_EXPONENT = 709.0
# all the signings of 16 differences; of more differences, as many drawn at random
SIGNINGS = 2**16


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval; low and high are NaN for fewer than two values."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


def exp(nats: float) -> float:
    """A perplexity; infinite where a float has no room for it."""
    return math.inf if nats > LARGEST_EXPONENT else math.exp(nats)


def expm1(nats: float) -> float:
    """A ratio of perplexities minus 1, likewise."""
    return math.inf if nats > LARGEST_EXPONENT else math.expm1(nats)


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval by Student's t with n - 1 degrees of freedom; NaN values stay NaN.

    Raises ImportError, which names the extra, where SciPy is missing.
    """
    stats, n = _scipy_stats(), len(values)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(values) / n
    if n == 1 or not math.isfinite(mean):
        return Estimate(mean, math.nan, math.nan, n)
    with np.errstate(over="ignore", invalid="ignore"):
        half = float(stats.t.ppf((1 + COVERAGE) / 2, n - 1) * stats.sem(values))
    return Estimate(mean, mean - half, mean + half, n)


def t_test(differences: Sequence[float]) -> float:
    """Student's two-sided p value of a mean of 0; NaN for fewer than two differences, and for
    one that is not finite."""
    if len(differences) < 2 or not np.isfinite(differences).all():
        return math.nan
    stats, mean = _scipy_stats(), math.fsum(differences) / len(differences)
    error = float(stats.sem(differences))
    # SciPy's own t-test warns of differences that are all the same
    t = mean / error if error else math.inf if mean else 0.0
    return float(2 * stats.t.sf(abs(t), len(differences) - 1))


def sign_flip(differences: Sequence[float]) -> float:
    """Fraction of the ways to sign the differences whose |sum| is at least the one observed.

    Exact for up to 16 differences; beyond, estimated from SIGNINGS random ones, always the same.
    NaN where `t_test` is.
    """
    if len(differences) < 2 or not np.isfinite(differences).all():
        return math.nan
    found = _scipy_stats().permutation_test(
        (differences,), np.sum, permutation_type="samples", vectorized=True,
        n_resamples=SIGNINGS, rng=0)
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number (Holm 1979): none is smaller than it was."""
    order = sorted((p, n) for n, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, n) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        corrected[n] = highest
    return corrected


def _scipy_stats() -> ModuleType:
    try:
        from scipy import stats
    except ImportError:
        raise ImportError("a study's report needs SciPy; install it with: python -m pip install "
                          "'npgpt[lab]'") from None
    module: ModuleType = stats
    return module
